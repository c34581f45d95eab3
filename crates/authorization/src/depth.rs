//! How deep rules go. They become trees, which Cedar walks by recursion when it reads, checks, asks and
//! frees them; a few hundred brackets in a row would end the process.

use std::iter::Peekable;
use std::str::CharIndices;

/// Most brackets that are open at a time.
const MOST_OPEN: usize = 32;
/// Most operators of one rule, each of which can be a level of the tree: dots, `&&`, `||`, `+`, `-`,
/// `*`, `!` and `if`.
const MOST_OPERATORS: usize = 400;

/// Looks at a text before Cedar does: how deep its rules go at most. It needs no grammar: what is
/// counted wrongly in a text that is no policy is refused in any case.
///
/// # Errors
/// Where it becomes too deep, and what is too much.
pub(crate) fn measure(text: &str) -> Result<usize, (usize, String)> {
    let mut open = 0_usize;
    let mut operators = 0;
    let mut deepest = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((offset, char)) = chars.next() {
        match char {
            '"' => skip_string(&mut chars),
            '/' if is_next(&mut chars, '/') => skip_line(&mut chars),
            ';' => operators = 0,
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '.' | '+' | '-' | '*' | '!' => operators += 1,
            '&' | '|' if is_next(&mut chars, char) => operators += 1,
            'i' if is_next(&mut chars, 'f') => operators += 1,
            _ => {}
        }
        if open > MOST_OPEN {
            return Err((offset, format!("more than {MOST_OPEN} brackets are open")));
        }
        if operators > MOST_OPERATORS {
            let said = format!("a rule has more than {MOST_OPERATORS} operators");
            return Err((offset, said));
        }
        deepest = deepest.max(open + operators);
    }
    Ok(deepest)
}

/// Takes the next character if it is this one.
fn is_next(chars: &mut Peekable<CharIndices<'_>>, char: char) -> bool {
    chars.next_if(|next| next.1 == char).is_some()
}

fn skip_line(chars: &mut Peekable<CharIndices<'_>>) {
    chars.find(|next| next.1 == '\n');
}

fn skip_string(chars: &mut Peekable<CharIndices<'_>>) {
    while let Some((_, char)) = chars.next() {
        match char {
            '"' => return,
            '\\' => {
                chars.next();
            }
            _ => {}
        }
    }
}
