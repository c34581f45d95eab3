//! The second factor: codes of an authenticator (RFC 6238), and recovery codes for when it is lost.

use jiff::Timestamp;
use totp_rs::{Builder, Secret as TotpSecret, Totp};
use weir_core::{Id, Secret};
use weir_store::records::{Changes, Row, Scope, Value, Write};

use crate::Identity;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::one_time::{self, Kind};
use crate::proof::Proof;
use crate::reader::Reader;
use crate::session::make_due;
use crate::tables::{RECOVERY_CODES, TOTP};
use crate::throttle::forgive;
use crate::token;
use crate::user::{end_sessions, not_oneself, user_within};

/// What RFC 4226 §4 recommends: 160 bits.
const SECRET: usize = 20;
const CODES: usize = 10;
/// Of a recovery code: 80 bits, so that its hash needs no slowness.
const CODE: usize = 10;
const ISSUER: &str = "Weir";
/// Without letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an authenticator must know. It is told once.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// In base 32, to be typed.
    pub secret: Secret<String>,
    /// As an `otpauth:` address, to be shown as a QR code.
    pub url: Secret<String>,
}

impl Identity {
    /// Begins to set up an authenticator; it counts once a code of it was [shown](Self::confirm_totp).
    ///
    /// # Errors
    /// Those of a [`Proof`]; [`Error::Conflict`] if there is one.
    pub async fn enrol_totp(&self, caller: &Caller, user: &Id, proof: &Proof) -> Result<Enrolment> {
        if self.has_second_factor(user).await? {
            return Err(Error::Conflict("there is an authenticator already"));
        }
        let proven = self.prove(caller, user, proof).await?;
        let mut write = self.begin_proven(caller, &proven, proof).await?;
        let account = user_within(&mut *write, user).await?;
        if self.has_totp(&mut *write, user).await? {
            return Err(Error::Conflict("there is an authenticator already"));
        }
        let rows = TOTP.rows();
        write.remove(rows, "user_id = ?", [user]).await?;
        let secret = token::random::<SECRET>()?;
        let sealed = self.shared.sealer.seal(&purpose(user), &secret)?;
        let values = [
            ("user_id", Value::from(user)),
            ("sealed_secret", Value::from(sealed)),
            ("last_step", Value::from(0_i64)),
        ];
        write.insert(rows, &Id::new("otp"), values).await?;
        let entry = caller.entry("totp.enrol", "user", user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        let secret = TotpSecret::from(secret).to_base32();
        // Addresses have no characters that would have to be escaped here, but these.
        let account = account.email.replace('%', "%25").replace('?', "%3F");
        let account = account.replace('#', "%23").replace('&', "%26");
        let url = format!("otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}");
        Ok(Enrolment {
            secret: Secret::new(secret),
            url: Secret::new(url),
        })
    }

    /// Makes an authenticator count, and tells the recovery codes, once. Whoever has begun to set it up has
    /// shown the password; guesses of the code are counted.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        user: &Id,
        code: &str,
    ) -> Result<Secret<Vec<String>>> {
        let account = self.user(user).await?;
        let address = caller.origin.address.as_deref();
        let guess = self.guess(&account.email, address).await?.admit()?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let row = totp_row(&mut *write, user, false).await?;
        let row = row.ok_or(Error::Missing("authenticator to confirm"))?;
        if !self
            .check_authenticator(&mut write, user, &row, code)
            .await?
        {
            return Err(Error::invalid("code", "is not the one that is shown now"));
        }
        forgive(&mut write, &guess).await?;
        let values = [("confirmed_at", Value::from(write.now()))];
        write
            .update(TOTP.rows(), &row.id("id")?, None, values)
            .await?;
        let codes = new_codes(&mut write, user).await?;
        make_due(&mut write, user).await?;
        let entry = caller.entry("totp.confirm", "user", user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Ok(codes)
    }

    /// Makes new recovery codes in place of all there were.
    ///
    /// # Errors
    /// Those of a [`Proof`].
    pub async fn renew_recovery_codes(
        &self,
        caller: &Caller,
        user: &Id,
        proof: &Proof,
    ) -> Result<Secret<Vec<String>>> {
        let mut write = self.begin_on_totp(caller, user, proof).await?;
        let codes = new_codes(&mut write, user).await?;
        let entry = caller.entry("totp.renew_codes", "user", user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(codes)
    }

    /// Removes one's own authenticator and the recovery codes.
    ///
    /// # Errors
    /// Those of a [`Proof`].
    pub async fn remove_totp(&self, caller: &Caller, user: &Id, proof: &Proof) -> Result<()> {
        let mut write = self.begin_on_totp(caller, user, proof).await?;
        self.drop_totp(&mut write, user).await?;
        make_due(&mut write, user).await?;
        let entry = caller.entry("totp.remove", "user", user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Removes the authenticator of somebody who lost it, with the recovery codes. Their sessions end.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for somebody with rights that the caller does not have, and for oneself.
    pub async fn remove_totp_of(&self, caller: &Caller, user: &Id) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        user_within(&mut *write, user).await?;
        not_oneself(caller, user)?;
        self.may_decide_on(&mut *write, caller, user).await?;
        if !self.has_totp(&mut *write, user).await? {
            return Err(Error::Missing("authenticator"));
        }
        self.drop_totp(&mut write, user).await?;
        end_sessions(&mut write, user).await?;
        one_time::forget(&mut write, Kind::SecondFactor, user).await?;
        let entry = caller.entry("totp.remove", "user", user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    async fn begin_on_totp(&self, caller: &Caller, user: &Id, proof: &Proof) -> Result<Write> {
        if !self.has_second_factor(user).await? {
            return Err(Error::Missing("authenticator"));
        }
        let proven = self.prove(caller, user, proof).await?;
        self.begin_proven(caller, &proven, proof).await
    }

    /// Its owner is told, whoever did it.
    async fn drop_totp(&self, write: &mut Write, user: &Id) -> Result<()> {
        for table in [TOTP, RECOVERY_CODES] {
            write.remove(table.rows(), "user_id = ?", [user]).await?;
        }
        if self.sends_mail() {
            let letter = Letter::SecondFactorRemoved {
                at: write.now(),
                url: &self.shared.options.public_url,
            };
            let account = user_within(&mut **write, user).await?;
            self.post(write, &account.email, &letter).await?;
        }
        Ok(())
    }

    /// Whether somebody is asked for a second factor when they sign in.
    pub async fn has_second_factor(&self, user: &Id) -> Result<bool> {
        self.has_totp(&mut self.records.read().await?, user).await
    }

    pub(crate) async fn has_totp(&self, reader: &mut impl Reader, user: &Id) -> Result<bool> {
        Ok(totp_row(reader, user, true).await?.is_some())
    }

    /// Whether a code is right and was not used before. The change must be committed if it is.
    pub(crate) async fn check_code(
        &self,
        changes: &mut Changes,
        user: &Id,
        code: &str,
    ) -> Result<bool> {
        let code: String = code
            .chars()
            .filter(|char| !char.is_whitespace() && *char != '-')
            .take(64)
            .collect();
        let Some(row) = totp_row(changes, user, true).await? else {
            return Ok(false);
        };
        if code.len() == 6 {
            return self.check_authenticator(changes, user, &row, &code).await;
        }
        let hash = token::hash(&code.to_ascii_lowercase());
        let used = changes
            .update_where(
                RECOVERY_CODES.rows(),
                "user_id = ? AND code_hash = ? AND used_at IS NULL",
                [Value::from(user), Value::from(&hash[..])],
                [("used_at", Value::from(changes.now()))],
            )
            .await?;
        Ok(used == 1)
    }

    async fn check_authenticator(
        &self,
        changes: &mut Changes,
        user: &Id,
        row: &Row,
        code: &str,
    ) -> Result<bool> {
        let sealed = row.bytes("sealed_secret")?;
        let secret = self.shared.sealer.open(&purpose(user), &sealed)?;
        let totp = authenticator(&secret)?;
        let Some(step) = step_of(&totp, code, changes.now()) else {
            return Ok(false);
        };
        // RFC 6238 §5.2: no code is taken twice.
        let values = [Value::from(user), Value::from(step)];
        let set = [("last_step", Value::from(step))];
        let taken = changes
            .update_where(TOTP.rows(), "user_id = ? AND last_step < ?", values, set)
            .await?;
        Ok(taken == 1)
    }
}

pub(crate) fn purpose(user: &Id) -> String {
    format!("totp {user}")
}

fn authenticator(secret: &[u8]) -> Result<Totp> {
    Builder::new()
        .with_secret(secret)
        .build()
        .map_err(Error::internal)
}

/// The time step of which this is the code: the present one, or one beside it.
fn step_of(totp: &Totp, code: &str, now: Timestamp) -> Option<i64> {
    let is_form = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = u64::try_from(now.as_second()).ok()?;
    let step = is_form.then(|| totp.check(code, seconds)).flatten()?;
    i64::try_from(step).ok()
}

async fn totp_row(reader: &mut impl Reader, user: &Id, is_confirmed: bool) -> Result<Option<Row>> {
    let condition = match is_confirmed {
        true => "user_id = ? AND confirmed_at IS NOT NULL",
        false => "user_id = ? AND confirmed_at IS NULL",
    };
    reader
        .first(TOTP.rows().select().filter(condition, [user]))
        .await
}

async fn new_codes(changes: &mut Changes, user: &Id) -> Result<Secret<Vec<String>>> {
    let rows = RECOVERY_CODES.rows();
    changes.remove(rows, "user_id = ?", [user]).await?;
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        let code = recovery_code(&token::random::<CODE>()?);
        let hash = token::hash(&code.replace('-', ""));
        let values = [
            ("user_id", Value::from(user)),
            ("code_hash", Value::from(&hash[..])),
        ];
        changes.insert(rows, &Id::new("rcc"), values).await?;
        codes.push(code);
    }
    Ok(Secret::new(codes))
}

/// 16 characters, in groups of four.
fn recovery_code(random: &[u8; CODE]) -> String {
    let number = random
        .iter()
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut code = String::with_capacity(19);
    for place in (0..16).rev() {
        code.push(char::from(ALPHABET[(number >> (5 * place)) as usize & 31]));
        if place % 4 == 0 && place > 0 {
            code.push('-');
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_standard_hold() {
        // RFC 6238 appendix B, of which these are the last six digits.
        let totp = authenticator(b"12345678901234567890").unwrap();
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let at = |seconds| Timestamp::from_second(seconds).unwrap();
            assert_eq!(step_of(&totp, code, at(seconds)), Some(seconds / 30));
            assert_eq!(step_of(&totp, code, at(seconds + 30)), Some(seconds / 30));
            assert_eq!(step_of(&totp, code, at(seconds + 90)), None);
        }
        for code in ["", "28708", "2870820", " 28708", "28708a", "２８７０８２"] {
            assert_eq!(
                step_of(&totp, code, Timestamp::from_second(59).unwrap()),
                None
            );
        }
    }

    #[test]
    fn recovery_codes_can_be_read_aloud() {
        assert_eq!(recovery_code(&[0; 10]), "0000-0000-0000-0000");
        assert_eq!(recovery_code(&[0xff; 10]), "zzzz-zzzz-zzzz-zzzz");
    }
}
