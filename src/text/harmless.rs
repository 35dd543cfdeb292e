//! Hostile text made harmless, for every report alike: escape sequences removed, what cannot be seen made visible,
//! length bounded. Each format then only has its own marks to escape.

use std::borrow::Cow;

/// Text of several lines: no escape sequence, no control character but tab and line feed, only characters that XML 1.0
/// allows, at most `max` bytes (head and tail).
pub fn block(text: &str, max: usize) -> String {
    cap(&visible(&strip_escapes(text)), max).into_owned()
}

/// Text for one line: as [`block`], with line ends and tabs as spaces and none at its ends.
pub fn line(text: &str, max: usize) -> String {
    let text = visible(&strip_escapes(text));
    let words: Vec<&str> = text
        .split(['\n', '\t'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    cap_line(&words.join(" "), max)
}

/// Text in one line of any length, its words parted by single spaces and without control characters.
pub fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text without terminal escape sequences: CSI, OSC, DCS and their kin, seven and eight bit. An unfinished string ends
/// with its line, so that it cannot swallow the log that follows.
pub fn strip_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\u{9b}', '\u{9d}', '\u{90}', '\u{98}', '\u{9e}', '\u{9f}']) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_introducer) {
        clean.push_str(&rest[..at]);
        rest = after_sequence(&rest[at..]);
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

fn is_introducer(ch: char) -> bool {
    matches!(
        ch,
        '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}' | '\u{9e}' | '\u{9f}'
    )
}

fn after_sequence(text: &str) -> &str {
    let mut chars = text.chars();
    let kind = match chars.next() {
        Some('\u{1b}') => chars.next(),
        eight_bit => eight_bit,
    };
    let body = chars.as_str();
    match kind {
        Some('[' | '\u{9b}') => after_csi(body),
        Some(']' | 'P' | 'X' | '^' | '_' | '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => after_string(body),
        // Two-character sequences, with an intermediate as in `ESC ( B`.
        Some(' '..='/') => body.strip_prefix(|ch| matches!(ch, '0'..='~')).unwrap_or(body),
        Some('0'..='~') => body,
        // A lone escape: what follows is ordinary, or begins a sequence of its own.
        _ => text.strip_prefix(is_introducer).unwrap_or(text),
    }
}

fn after_csi(body: &str) -> &str {
    let rest = body.trim_start_matches(|ch| matches!(ch, ' '..='?'));
    rest.strip_prefix(|ch| matches!(ch, '@'..='~')).unwrap_or(rest)
}

fn after_string(body: &str) -> &str {
    let end = body
        .find(['\u{7}', '\u{9c}', '\u{1b}', '\n', '\r'])
        .unwrap_or(body.len());
    let rest = &body[end..];
    rest.strip_prefix("\u{1b}\\")
        .or_else(|| rest.strip_prefix(['\u{7}', '\u{9c}']))
        .unwrap_or(rest)
}

/// Text in which everything can be seen: control characters as their pictures (`␀`), what changes the direction of
/// writing or is no character as its number. Tab and line feed stay, CR LF becomes LF.
pub fn visible(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let mut clean = String::with_capacity(text.len());
    for ch in text.chars() {
        match ch {
            '\n' | '\t' => clean.push(ch),
            '\0'..='\u{1f}' => clean.push(char::from_u32(0x2400 + u32::from(ch)).unwrap_or('\u{fffd}')),
            '\u{7f}' => clean.push('␡'),
            _ if is_unseen(ch) => clean.push_str(&format!("<U+{:04X}>", u32::from(ch))),
            _ => clean.push(ch),
        }
    }
    clean
}

fn is_unseen(ch: char) -> bool {
    let noncharacter = u32::from(ch) & 0xfffe == 0xfffe || matches!(ch, '\u{fdd0}'..='\u{fdef}');
    let c1_or_line_end = matches!(ch, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}');
    let direction =
        matches!(ch, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    noncharacter || c1_or_line_end || direction || matches!(ch, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Text in which GitHub's runner finds no workflow command: it takes `::name::` after leading blanks, and the old
/// `##[name]` anywhere in a line.
pub fn no_commands(text: &str) -> String {
    let defused = text
        .split_inclusive('\n')
        .map(|line| match line.trim_start().strip_prefix("::") {
            Some(rest) => format!("{}: :{rest}", &line[..line.len() - line.trim_start().len()]),
            None => line.to_owned(),
        });
    defused.collect::<String>().replace("##[", "# #[")
}

/// At most `max` bytes: a third of head, the rest tail, because the end of a log says more than its beginning.
pub fn cap(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let room = max.saturating_sub(64);
    let head = &text[..text.floor_char_boundary(room / 3)];
    let tail = &text[text.ceil_char_boundary(text.len() - (room - room / 3))..];
    let left_out = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}\n… {left_out} bytes left out …\n{tail}"))
}

fn cap_line(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples::NASTY;

    fn is_plain(ch: char) -> bool {
        matches!(ch, '\n' | '\t') || (!ch.is_control() && !is_unseen(ch))
    }

    #[test]
    fn nothing_nasty_survives_in_a_block() {
        for text in NASTY {
            let clean = block(text, 1000);
            assert!(clean.chars().all(is_plain), "{text:?} gave {clean:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        for text in NASTY {
            let clean = line(text, 1000);
            assert!(
                clean.chars().all(|ch| is_plain(ch) && ch != '\n' && ch != '\t'),
                "{text:?} gave {clean:?}"
            );
            assert_eq!(clean, clean.trim());
        }
    }

    #[test]
    fn one_line_keeps_words_and_nothing_between_them() {
        assert_eq!(one_line(" a\u{1b}[31m\tb \r\n\u{85}c\0 "), "a [31m b c");
        assert_eq!(one_line("\n\t"), "");
    }

    #[test]
    fn escape_sequences_go_and_the_text_stays() {
        let cases = [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;target\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bx\u{1b}7y\u{1b}cz", "xyz"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}Pq#0\u{1b}\\sixel", "sixel"),
            ("\u{1b}]open\nnext line", "\nnext line"),
            ("end\u{1b}", "end"),
            ("end\u{1b}[", "end"),
            ("\u{1b}\u{1b}[31mx", "x"),
            ("plain", "plain"),
        ];
        for (text, clean) in cases {
            assert_eq!(strip_escapes(text), clean, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(
            visible("a\0b\rc\r\nd\u{7f}\u{ffff}\u{202e}\u{85}"),
            "a␀b␍c\nd␡<U+FFFF><U+202E><U+0085>"
        );
    }

    #[test]
    fn a_line_that_is_a_workflow_command_is_one_no_longer() {
        let text = "  ::error::x\nstd::fmt ok\n##[error]y\n::::z";
        assert_eq!(no_commands(text), "  : :error::x\nstd::fmt ok\n# #[error]y\n: :::z");
    }

    #[test]
    fn a_long_text_keeps_its_head_and_more_of_its_tail() {
        let text = format!("HEAD{}TAIL", "é".repeat(5000));
        let short = cap(&text, 1000);
        assert!(short.len() <= 1000, "{}", short.len());
        assert!(short.starts_with("HEAD") && short.ends_with("TAIL") && short.contains("bytes left out"));
    }

    #[test]
    fn a_long_line_ends_with_an_ellipsis_within_its_bound() {
        let short = line(&"é".repeat(100), 20);
        assert!(short.len() <= 20 && short.ends_with('…'), "{short}");
    }
}
