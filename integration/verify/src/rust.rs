//! Rust source as far as rules need it: code without comments and texts, cut into words.

/// A word or a mark of Rust source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    /// From 1.
    pub(crate) line: usize,
    /// An identifier, `::`, or a single other character.
    pub(crate) text: &'a str,
}

/// The source with comments, and the insides of strings where `texts` is false, turned into spaces. Lines stay.
pub(crate) fn code(source: &str, texts: bool) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = piece(rest, first, out.chars().next_back());
        let (taken, after) = rest.split_at(length);
        let keep = keep || (texts && !taken.starts_with('/'));
        out.extend(
            taken
                .chars()
                .map(|c| if keep || c == '\n' { c } else { ' ' }),
        );
        rest = after;
    }
    out
}

/// How long the next comment, string or plain character is, and whether it is kept in any case.
fn piece(rest: &str, first: char, before: Option<char>) -> (usize, bool) {
    let in_word = before.is_some_and(is_word);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if first == '"' {
        return (quoted(rest), false);
    }
    if !in_word && (first == 'r' || rest.starts_with("br")) {
        let prefix = if first == 'b' { 2 } else { 1 };
        if let Some(length) = raw_string(&rest[prefix..]) {
            return (prefix + length, false);
        }
    }
    if first == '\'' {
        return (character(rest), true);
    }
    (first.len_utf8(), true)
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `rest` begins after the `r`: `#…#"…"#…#`, or this is an ordinary word.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    let inside = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(hashes + 1 + length)
}

/// `'x'`, `'\n'`, `'\u{7f}'`, or the mark of a lifetime.
fn character(rest: &str) -> usize {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        let after = inside
            .char_indices()
            .nth(2)
            .map_or(inside.len(), |(at, _)| at);
        return inside[after..]
            .find('\'')
            .map_or(rest.len(), |at| 1 + after + at + 1);
    }
    let mut chars = inside.char_indices();
    chars.next();
    match chars.next() {
        Some((at, '\'')) => 1 + at + 1,
        _ => 1,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words and marks of code that [`code`] has cleaned.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            found.push(Token {
                line: number + 1,
                text: &rest[..length],
            });
            rest = rest[length..].trim_start();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let code = code(source, false);
        tokens(&code)
            .iter()
            .map(|token| token.text.to_owned())
            .collect()
    }

    #[test]
    fn comments_and_texts_disappear_and_code_stays() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r#"a("b \" c", d)"#), ["a", "(", ",", "d", ")"]);
        assert_eq!(words("a(r#\"b \" c\"#) d"), ["a", "(", ")", "d"]);
        assert_eq!(words("br\"x\" bar r"), ["bar", "r"]);
    }

    #[test]
    fn quotes_as_characters_and_lifetimes_open_no_text() {
        for source in [
            "f('\"', tokio)",
            "f('\'', tokio)",
            "f('\u{22}', tokio)",
            "fn f<'a>(x: &'a str) { tokio }",
        ] {
            assert!(words(source).contains(&"tokio".to_owned()), "{source}");
        }
    }

    #[test]
    fn lines_are_counted_through_comments_and_texts() {
        let code = code("/* 1\n2 */\n\"3\n4\" five", false);
        assert_eq!(
            tokens(&code),
            [Token {
                line: 4,
                text: "five"
            }]
        );
    }

    #[test]
    fn texts_are_kept_where_they_are_asked_for() {
        assert_eq!(code("f(\"nft\") // \"ip\"", true).trim_end(), "f(\"nft\")");
    }
}
