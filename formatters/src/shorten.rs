//! Text cut visibly to a length: never inside a character, an entity (`&amp;`) or a token (`<…>`), and "…" says so.
//!
//! Slack counts characters in a way that it does not document; UTF-16 units are never fewer than what it counts.

/// Says that something was cut.
const MORE: char = '…';

/// Length in UTF-16 units.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Plain text in at most `max` units.
pub fn plain(text: &str, max: usize) -> String {
    cut(text, max, &char_pieces(text)).0
}

/// Escaped mrkdwn in at most `max` units; a code span that was open at the cut is closed again.
pub fn mrkdwn(text: &str, max: usize) -> String {
    let (mut out, was_cut) = cut(text, max, &mrkdwn_pieces(text));
    if was_cut && out.matches('`').count() % 2 == 1 {
        out.pop();
        match out.strip_suffix('`') {
            Some(before) => out = before.trim_end().to_owned(),
            None => out.push('`'),
        }
        out.push(MORE);
    }
    out
}

/// As many whole pieces as fit with a closing backtick and the ellipsis, and whether anything was cut.
fn cut(text: &str, max: usize, pieces: &[&str]) -> (String, bool) {
    if units(text) <= max {
        return (text.to_owned(), false);
    }
    let room = max.saturating_sub(2);
    let mut out = String::new();
    let mut used = 0;
    for piece in pieces {
        used += units(piece);
        if used > room {
            break;
        }
        out.push_str(piece);
    }
    out.truncate(out.trim_end().len());
    if max > 0 {
        out.push(MORE);
    }
    (out, max > 0)
}

fn char_pieces(text: &str) -> Vec<&str> {
    text.char_indices().filter_map(|(at, c)| text.get(at..at + c.len_utf8())).collect()
}

/// The parts that must stay whole: tokens, entities, single characters.
pub(crate) fn mrkdwn_pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '<' => rest.find('>').map_or(1, |end| end + 1),
            '&' => ["&amp;", "&lt;", "&gt;"].iter().find(|e| rest.starts_with(**e)).map_or(1, |e| e.len()),
            other => other.len_utf8(),
        };
        let (piece, tail) = rest.split_at(length);
        out.push(piece);
        rest = tail;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_visible_and_whole() {
        let rows = [
            ("short", 10, "short", "left alone"),
            ("exactly 10", 10, "exactly 10", "at the limit"),
            ("more than ten", 10, "more tha…", "the ellipsis counts"),
            ("word and word", 7, "word…", "no space before the ellipsis"),
            ("😀😀😀😀", 7, "😀😀…", "an emoji counts two units and is not halved"),
            ("日本語日本語", 5, "日本語…", "Japanese counts one each"),
            ("abc", 0, "", "no room at all"),
        ];
        for (given, max, wanted, why) in rows {
            assert_eq!(plain(given, max), wanted, "{why}");
            assert!(units(&plain(given, max)) <= max, "{why}");
        }
    }

    #[test]
    fn markup_is_never_halved() {
        let rows = [
            ("a &amp; b and c", 6, "a…", "an entity is whole or gone"),
            ("a &amp; b and c", 10, "a &amp;…", "an entity that fits stays"),
            ("see <https://a.slack.com|the page> now", 20, "see…", "a link is whole or gone"),
            ("id `abcdefghij` x", 10, "id `abcd`…", "an open code span is closed"),
            ("`a` then `b` more", 12, "`a` then…", "a span that never opened is not closed"),
            ("a < b and more", 8, "a < b…", "a lone < is a character"),
        ];
        for (given, max, wanted, why) in rows {
            assert_eq!(mrkdwn(given, max), wanted, "{why}");
        }
    }
}
