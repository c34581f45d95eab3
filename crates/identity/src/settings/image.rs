//! Images that stand in a page as `data:` (RFC 2397).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes. The settings that they stand in are read with each list of organizations.
const MOST: usize = 16 * 1024;
/// Points of a side of a PNG, which can say in few bytes that it is very large.
const LONGEST_SIDE: u32 = 2_048;

/// An image that browsers draw and that runs nothing, which is what it says.
///
/// # Errors
/// Why it is none.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    // Four characters are three bytes.
    if text.len() > MOST / 3 * 4 + 64 {
        return Err("is larger than 16 KiB");
    }
    let parts = text
        .strip_prefix("data:image/")
        .and_then(|rest| rest.split_once(";base64,"));
    // SVG is a document, which may have scripts and other addresses in it.
    let Some((kind @ ("png" | "jpeg" | "webp"), data)) = parts else {
        return Err("is data:image/png;base64, and the image, or jpeg or webp in place of png");
    };
    let bytes = STANDARD.decode(data).map_err(|_| "is not in base64")?;
    if bytes.len() > MOST {
        return Err("is larger than 16 KiB");
    }
    match kind {
        "png" => png(&bytes),
        "jpeg" if bytes.starts_with(b"\xff\xd8\xff") => Ok(()),
        "webp" if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Ok(()),
        _ => Err("is not of the type that it states"),
    }
}

/// The signature and the first chunk (PNG §5.2, §11.2.1).
fn png(bytes: &[u8]) -> Result<(), &'static str> {
    let side = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let is_png = bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16) == Some(b"IHDR");
    let (Some(width), Some(height), true) = (side(16), side(20), is_png) else {
        return Err("is not of the type that it states");
    };
    let is_drawn = |side| (1..=LONGEST_SIDE).contains(&side);
    match is_drawn(width) && is_drawn(height) {
        true => Ok(()),
        false => Err("has a side of more than 2048 points, or none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, bytes: &[u8]) -> String {
        format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
    }

    fn head(width: u32, height: u32) -> Vec<u8> {
        let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &sides[..]].concat()
    }

    #[test]
    fn an_image_is_what_it_says_and_small() {
        check(&data("png", &head(1, 2_048))).unwrap();
        check(&data("jpeg", b"\xff\xd8\xff\xe0")).unwrap();
        check(&data("webp", b"RIFF\0\0\0\0WEBPVP8 ")).unwrap();
        let mut largest = head(10, 10);
        largest.resize(MOST, 0);
        check(&data("png", &largest)).unwrap();
        largest.push(0);
        for bad in [
            data("png", &largest),
            "x".repeat(100_000),
            data("png", &head(2_049, 1)),
            data("png", &head(1, u32::MAX)),
            data("png", &head(0, 1)),
            data("png", &head(1, 1)[..20]),
            data("png", b"\xff\xd8\xff\xe0"),
            data("jpeg", &head(1, 1)),
            data("webp", b"RIFF\0\0\0\0WAVE"),
            data("gif", b"GIF89a"),
            data("svg+xml", b"<svg onload='alert(1)'/>"),
            data("png", b"<svg onload='alert(1)'/>"),
            data("png", b""),
            "data:text/html;base64,PHNjcmlwdD4=".to_owned(),
            "data:image/png,x".to_owned(),
            "data:image/png;base64,%%%".to_owned(),
            format!("{}\" onerror=\"alert(1)", data("png", &head(1, 1))),
            format!("{}\n", data("png", &head(1, 1))),
            " data:image/png;base64,".to_owned(),
            String::new(),
        ] {
            assert!(check(&bad).is_err(), "{}", &bad[..bad.len().min(80)]);
        }
    }
}
