//! Untrusted text made inert for Slack, by construction: what an attacker wrote reads as they wrote it, and does nothing.
//!
//! There are two forms. *Prose* is text among our own mrkdwn: marks at the edges of words become look-alikes that Slack
//! does not format with, so a bucket called `my_bucket_name` stays as it is and `*bold*` does not turn bold. *Code* is a
//! code span, where Slack formats nothing: every id is shown in one and can be copied exactly.
use std::fmt::Write as _;

/// Stands for `"` between Tera and the JSON parser, so that no escape of ours can be cut in half and no value can end a
/// string. It is a private-use character, which [`clean`] removes from every value.
pub(crate) const QUOTE: char = '\u{E000}';
/// Stands for `\` in the same way.
pub(crate) const BACKSLASH: char = '\u{E001}';

/// Console pages that a card may link to: these hosts and, with a leading dot, their subdomains.
const HOSTS: [&str; 7] = [
    "console.aws.amazon.com",
    ".console.aws.amazon.com",
    "health.aws.amazon.com",
    "console.amazonaws-us-gov.com",
    ".console.amazonaws-us-gov.com",
    "console.amazonaws.cn",
    ".slack.com",
];

/// The longest link that Slack takes.
const URL_UNITS: usize = 3000;
/// How many combining marks one character may carry.
const MARKS: usize = 3;

/// One line of visible text: no control, bidi, zero-width or other invisible characters; white space is one space.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        if c.is_whitespace() || is_blank(c) {
            marks = 0;
            if !out.ends_with(' ') && !out.is_empty() {
                out.push(' ');
            }
        } else if is_invisible(c) {
            // Dropped: whatever it was for, the reader could not have seen it.
        } else if is_combining(c) {
            marks += 1;
            if marks <= MARKS {
                out.push(c);
            }
        } else {
            marks = 0;
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// White space that Unicode does not call so.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{3164}' | '\u{FFA0}' | '\u{115F}' | '\u{1160}' | '\u{FFFC}')
}

/// Characters without a shape: controls, bidi marks, joiners, fillers, variation selectors, tags, private use.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{E000}'..='\u{F8FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{10FFFF}')
        || (c as u32) & 0xFFFE == 0xFFFE
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{3099}'..='\u{309A}' | '\u{FE20}'..='\u{FE2F}')
}

/// Prose: safe as mrkdwn and inside a JSON string. Every `{{ value }}` of a template goes through here.
pub fn prose(text: &str) -> String {
    let chars: Vec<char> = clean(text).chars().collect();
    let mut out = String::with_capacity(text.len() + 16);
    // Slack quotes a line that starts with `&gt;` too.
    let mut at = chars.iter().take_while(|&&c| c == '>').count();
    out.extend(std::iter::repeat_n('›', at));
    while let Some(&c) = chars.get(at) {
        let rest = chars.get(at + 1..).unwrap_or_default();
        match c {
            '*' | '_' | '~' => {
                let run = 1 + rest.iter().take_while(|c| is_mark(**c)).count();
                let inside = |c: Option<&char>| c.is_some_and(char::is_ascii_alphanumeric);
                let before = at.checked_sub(1).and_then(|i| chars.get(i));
                let keep = inside(before) && inside(chars.get(at + run));
                out.extend(chars.iter().skip(at).take(run).map(|&c| if keep { c } else { look_alike(c) }));
                at += run - 1;
            }
            // A link that nobody should follow by a slip of the finger, still readable.
            ':' if rest.starts_with(&['/', '/']) => out.push_str("[:]"),
            ':' if starts_shortcode(rest) => out.push('∶'),
            _ => push(&mut out, c),
        }
        at += 1;
    }
    out
}

/// A code span: what is in it is never formatted, linked or turned into emoji, and can be copied as it is.
/// Empty for a text that shows nothing.
pub fn code(text: &str) -> String {
    let text = clean(text);
    if text.is_empty() {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    out.push('`');
    text.chars().for_each(|c| push(&mut out, c));
    out.push('`');
    out
}

fn push(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push(QUOTE),
        '\\' => out.push(BACKSLASH),
        '`' => out.push('’'),
        _ => out.push(c),
    }
}

fn is_mark(c: char) -> bool {
    matches!(c, '*' | '_' | '~')
}

fn look_alike(mark: char) -> char {
    match mark {
        '*' => '∗',
        '_' => 'ˍ',
        '~' => '∼',
        other => other,
    }
}

/// Whether what follows a colon makes it an emoji such as `:x:`. Names of one or two digits are times (`10:30:00`).
fn starts_shortcode(rest: &[char]) -> bool {
    let name = rest.iter().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'')).count();
    let time = name <= 2 && rest.iter().take(name).all(char::is_ascii_digit);
    name > 0 && rest.get(name) == Some(&':') && !time
}

/// `<url|label>` where the URL is a console page we may link to, otherwise the label alone.
pub fn link(url: &str, label: &str) -> String {
    let label = prose(label);
    match safe_url(url) {
        Some(url) if !label.is_empty() => format!("<{url}|{label}>"),
        _ => label,
    }
}

/// The URL as it may stand in a link, or none. `&` becomes an entity, as Slack asks; everything that could end the link
/// or the JSON string is percent-encoded.
pub(crate) fn safe_url(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let allowed = HOSTS.iter().any(|known| host == *known || (known.starts_with('.') && host.ends_with(known)));
    if !allowed || !host.chars().all(plain) || host.split('.').any(str::is_empty) {
        return None;
    }
    let mut out = format!("https://{host}");
    for c in rest.get(end..)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            _ if c.is_control() => return None,
            _ if c.is_ascii_alphanumeric() || "-._~:/?#[]@!$'()*+,;=%".contains(c) => out.push(c),
            _ => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "%{byte:02X}");
                }
            }
        }
    }
    (out.len() <= URL_UNITS).then_some(out)
}

/// Whether this is a mention of one user or one group, and nothing else.
pub(crate) fn is_mention(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) else { return false };
    let id = match inner.strip_prefix("!subteam^") {
        Some(group) if group.starts_with('S') => group,
        Some(_) => return false,
        None => match inner.strip_prefix('@') {
            Some(user) if user.starts_with(['U', 'W']) => user,
            _ => return false,
        },
    };
    (3..=24).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Text that shows as it is in a message of its own, outside any template.
pub fn mrkdwn(text: &str) -> String {
    restore(&prose(text))
}

/// The two stand-ins turned back, once the JSON is parsed.
pub(crate) fn restore(text: &str) -> String {
    text.replace(QUOTE, "\"").replace(BACKSLASH, "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_reads_as_written_and_does_nothing() {
        let rows = [
            ("a plain title", "a plain title", "left alone"),
            ("my_bucket_name", "my_bucket_name", "marks inside a word never format"),
            ("*bold* _it_ ~gone~", "∗bold∗ ˍitˍ ∼gone∼", "marks at word edges become look-alikes"),
            ("__x__ a**b", "ˍˍxˍˍ a**b", "runs count as one mark"),
            ("日本_語_", "日本ˍ語ˍ", "only ASCII letters and digits hold a mark in"),
            ("`rm -rf`", "’rm -rf’", "backticks would open a code span"),
            ("<!channel> & <@U123>", "&lt;!channel&gt; &amp; &lt;@U123&gt;", "no mentions"),
            ("<https://evil.example|AWS>", "&lt;https[:]//evil.example|AWS&gt;", "no links, also not by themselves"),
            (">> quote > x", "›› quote &gt; x", "a leading > is a quote even as an entity"),
            ("a\nb\t\u{2028}c \u{a0} d", "a b c d", "one line, single spaces"),
            ("\u{202e}txt.exe\u{2066}\u{200b}\u{feff}", "txt.exe", "nothing invisible"),
            ("\u{1b}[31mred\u{7}", "[31mred", "no terminal escapes"),
            (":white_check_mark: :x:y:", "∶white_check_mark: ∶x∶y:", "no emoji by shortcode"),
            ("10:30:00 a::b :)", "10:30:00 a::b :)", "times and bare colons stay"),
            ("say \"hi\" \\n", "say \u{e000}hi\u{e000} \u{e001}n", "JSON stand-ins"),
            ("a\u{e000}b", "ab", "the stand-ins cannot be forged"),
            ("e\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}", "no towers of marks"),
            ("\u{3164}\u{2800} ", "", "blank letters are blank"),
        ];
        for (given, wanted, why) in rows {
            assert_eq!(prose(given), wanted, "{why}: {given:?}");
        }
    }

    #[test]
    fn code_is_exact() {
        let rows = [
            ("my_bucket*", "`my_bucket*`", "copied as it is"),
            ("arn:aws:s3:::x", "`arn:aws:s3:::x`", "no emoji in code"),
            ("a`b", "`a’b`", "cannot end the span"),
            ("<b>&", "`&lt;b&gt;&amp;`", "entities also in code"),
            (" \n ", "", "an empty span would show two backticks"),
        ];
        for (given, wanted, why) in rows {
            assert_eq!(code(given), wanted, "{why}: {given:?}");
        }
    }

    #[test]
    fn links_only_to_the_console() {
        let linked = |url: &str| safe_url(url);
        let console =
            "https://eu-west-1.console.aws.amazon.com/guardduty/home?region=eu-west-1#/findings?search=id%3Dabc";
        assert_eq!(linked(console).as_deref(), Some(console));
        assert_eq!(
            linked("https://console.aws.amazon.com/x?a=1&b=<|>\" é").as_deref(),
            Some("https://console.aws.amazon.com/x?a=1&amp;b=%3C%7C%3E%22%20%C3%A9")
        );
        let refused = [
            "http://console.aws.amazon.com/",
            "https://console.aws.amazon.com.evil.example/",
            "https://evilconsole.aws.amazon.com/",
            "https://console.aws.amazon.com@evil.example/",
            "https://evil.example/?console.aws.amazon.com",
            "https://evil.example\\.console.aws.amazon.com/",
            "https://console.aws.amazon.com:8443/",
            "https://.slack.com/",
            "https://slack.com.evil.example/",
            "https://console.aws.amazon.com/\n",
            "javascript:alert(1)",
            "",
        ];
        for url in refused {
            assert_eq!(linked(url), None, "{url}");
        }
        assert_eq!(link("https://evil.example/", "a|<b>"), "a|&lt;b&gt;");
        assert_eq!(link("https://x.slack.com/archives/C1/p1", "*a*"), "<https://x.slack.com/archives/C1/p1|∗a∗>");
    }

    #[test]
    fn mentions_are_checked() {
        for good in ["<@U012ABCDE>", "<@W012ABCDE>", "<!subteam^S012ABC>"] {
            assert!(is_mention(good), "{good}");
        }
        for bad in
            ["<!channel>", "<!here>", "<@U1|x>", "@U012AB", "<@u012ab>", "<!subteam^S1|@x>", "<@U1> <!here>", "", "<@>"]
        {
            assert!(!is_mention(bad), "{bad}");
        }
    }
}
