//! What a template of the user's must not do, found in its source before it is ever rendered.
//!
//! `safe` would switch the escaping off, and `<{{ value }}>` would let a value decide what a link or a mention is.
use crate::error::TemplateError;

/// Every mistake in one template's source.
pub(crate) fn check(file: &str, source: &str) -> Vec<TemplateError> {
    let mut errors = Vec::new();
    let mut rest = source;
    let mut raw = false;
    // Whether literal text has opened a `<…>` that is not closed yet.
    let mut token = false;
    while let Some(at) = rest.find(['{', '<', '>', '\n', '"']) {
        let line = |rest: &str| 1 + source.get(..source.len() - rest.len()).unwrap_or_default().matches('\n').count();
        let (_, here) = rest.split_at(at);
        let kind = if raw && !is_endraw(here) { "" } else { here.get(..2).unwrap_or_default() };
        let close = match kind {
            "{{" => "}}",
            "{%" => "%}",
            "{#" => "#}",
            _ => {
                token = match here.as_bytes().first() {
                    Some(b'<') => true,
                    Some(b'{') => token,
                    _ => false,
                };
                rest = here.get(1..).unwrap_or_default();
                continue;
            }
        };
        let body = here.get(2..).unwrap_or_default();
        let end = if kind == "{#" { body.find(close) } else { find_outside_strings(body, close) };
        let (inside, after) = body.split_at(end.unwrap_or(body.len()));
        if kind != "{#" {
            if uses_safe(inside) {
                errors.push(TemplateError::new(file, Some(line(here)), SAFE));
            }
            if token && kind == "{{" {
                errors.push(TemplateError::new(file, Some(line(here)), TOKEN));
            }
            let word = inside.trim_matches(['-', ' ', '\t', '\n']);
            raw = (raw || word == "raw") && word != "endraw";
        }
        rest = after.get(close.len()..).unwrap_or_default();
    }
    errors
}

const SAFE: &str = "The filter `safe` would switch off the escaping, and findings hold text that attackers wrote. \
    Leave it out; `code`, `link`, `time` and `mentions` make the markup that a card needs.";
const TOKEN: &str = "A value stands inside `<…>`, where it could become a link or a mention of its own making. \
    Use the filters `link`, `time` or `mentions`, which check what they make.";

fn is_endraw(text: &str) -> bool {
    text.strip_prefix("{%").is_some_and(|text| text.trim_start_matches(['-', ' ']).starts_with("endraw"))
}

/// The next `close` that is not inside a string literal.
fn find_outside_strings(body: &str, close: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if body.get(at..).is_some_and(|rest| rest.starts_with(close)) => return Some(at),
            _ => {}
        }
    }
    None
}

/// `| safe`, `filter safe`, and the name handed to a filter that applies others.
fn uses_safe(inside: &str) -> bool {
    let words: Vec<&str> = inside
        .split(|c: char| c.is_whitespace() || "()[]{},=~".contains(c))
        .flat_map(|part| part.split_inclusive('|'))
        .filter(|word| !word.is_empty())
        .collect();
    words.windows(2).any(|pair| {
        matches!(pair, [before, word]
        if (before.ends_with('|') || *before == "filter") && word.trim_end_matches(['|', '-']) == "safe")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_would_break_the_escaping() {
        let rows = [
            ("{{ title }}", None, "nothing wrong"),
            ("{{ title | safe }}", Some(1), "the filter"),
            ("{{ title|safe}}", Some(1), "without spaces"),
            ("\n\n{{ title | lower | safe | upper }}", Some(3), "in a chain, with its line"),
            ("{% filter safe %}{% endfilter %}", Some(1), "as a section"),
            ("{% set x = title | safe %}", Some(1), "in a tag"),
            ("{# title | safe #}", None, "in a comment"),
            ("{% raw %}{{ title | safe }}{% endraw %}{{ why }}", None, "in raw text"),
            ("{{ safe_title }} safe | safe", None, "only as a filter"),
            ("<{{ title }}>", Some(1), "a value as a token"),
            ("<https://x|{{ title }}>", Some(1), "or as part of one"),
            ("<https://x|y> {{ title }}", None, "a literal link is the author's own"),
            ("\"a < b\", \"{{ title }}\"", None, "a lone < ends with its string"),
            ("{{ '}} | safe' }}{{ a | safe }}", Some(1), "strings do not end a tag"),
        ];
        for (source, wanted, why) in rows {
            let lines: Vec<_> = check("x.json", source).into_iter().map(|error| error.line).collect();
            assert_eq!(lines.first().copied().flatten(), wanted, "{why}: {source}");
        }
    }
}
