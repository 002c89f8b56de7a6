//! Every card in both languages as one HTML page that resembles Slack, to be looked at in a browser:
//! `cargo run -p findings-formatters --example gallery > cards.html`. Pass `en` or `ja` for one language only, or `-` to
//! show messages from standard input, one JSON object with `text` and `blocks` on each line, instead of the samples.
#![expect(clippy::print_stdout, reason = "the page is the output")]
use std::fmt::Write as _;
use std::io::BufRead as _;

use findings_formatters::{Formatter, Kind, Locale, Message, View, sample, terminal};
use serde_json::Value;

const STYLE: &str = "body{font:15px/1.46 Lato,'Noto Sans','Noto Sans CJK JP',sans-serif;background:#fff;color:#1d1c1d;margin:24px;width:640px}\
h2{font-size:12px;color:#888;margin:24px 0 4px;font-weight:normal}.m{border-left:4px solid #eee;padding:2px 0 2px 12px}\
.s{margin:8px 0}.c{font-size:13px;color:#616061;margin:8px 0}code{font:12px 'Noto Sans Mono',monospace;color:#e01e5a;\
background:#f6f6f6;border:1px solid #ddd;border-radius:3px;padding:1px 3px}a{color:#1264a3;text-decoration:none}\
.at{background:#e8f5fa;color:#1264a3;border-radius:3px}.t{background:#eee}.n{color:#888;font-size:12px}";

fn main() {
    let only = std::env::args().nth(1);
    let formatter = match Formatter::new([]) {
        Ok(formatter) => formatter,
        Err(errors) => {
            for error in &errors {
                println!("{error}");
            }
            return;
        }
    };
    println!("<!doctype html><meta charset=utf-8><style>{STYLE}</style>");
    if only.as_deref() == Some("-") {
        return from_stdin();
    }
    for (locale, name) in [(Locale::En, "en"), (Locale::Ja, "ja")] {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        for (title, view) in views(locale) {
            match formatter.slack(&view) {
                Ok(message) => println!("<h2>{name} · {title}</h2>{}", html(&message)),
                Err(error) => println!("<h2>{name} · {title}</h2><pre>{error}</pre>"),
            }
        }
    }
}

/// The messages of `findings-router replay --format slack`, with what becomes of each (`post`, `thread`, `update`, …).
fn from_stdin() {
    for (at, line) in std::io::stdin().lock().lines().map_while(Result::ok).enumerate() {
        let Ok(mut read) = serde_json::from_str::<Value>(&line) else {
            println!("<h2>line {}</h2><pre>not JSON</pre>", at + 1);
            continue;
        };
        let text = read["text"].as_str().unwrap_or_default().to_owned();
        let message = Message { text, blocks: read["blocks"].take() };
        println!("<h2>{} · {}</h2>{}", at + 1, read["mode"].as_str().unwrap_or("message"), html(&message));
    }
}

fn views(locale: Locale) -> Vec<(String, View)> {
    let mut out = Vec::new();
    let mut usual = sample::full(Kind::Card, locale);
    usual.exercise = None;
    usual.previous = None;
    usual.signals.clear();
    usual.also.clear();
    usual.more_resources = 0;
    usual.remediations.truncate(1);
    out.push(("the usual card".to_owned(), usual.clone()));
    usual.resolved = true;
    if let Some(first) = usual.remediations.first_mut() {
        first.state = Some("verified".to_owned());
    }
    out.push(("resolved".to_owned(), usual));
    for kind in Kind::ALL {
        out.push((format!("{kind:?}, everything"), sample::full(kind, locale)));
        out.push((format!("{kind:?}, nothing"), sample::bare(kind, locale)));
    }
    out
}

fn html(message: &Message) -> String {
    let mut out = format!("<div class=n>{}</div><div class=m>", inline(&message.text));
    for block in message.blocks.as_array().into_iter().flatten() {
        let class = if block["type"] == "context" { "c" } else { "s" };
        let texts = [&block["text"], &block["elements"][0]];
        for text in texts.into_iter().filter_map(|text| text["text"].as_str()) {
            let _ = write!(out, "<div class={class}>{}</div>", inline(text).replace('\n', "<br>"));
        }
    }
    let lines = terminal(message).lines().count();
    let _ = write!(out, "</div><div class=n>{lines} lines</div>");
    out
}

/// mrkdwn as HTML: enough for what our own templates write.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    let (mut bold, mut strike, mut code) = (false, false, false);
    while let Some(c) = rest.chars().next() {
        let edge = !out.ends_with(|c: char| c.is_ascii_alphanumeric())
            || !rest.get(1..).unwrap_or_default().starts_with(|c: char| c.is_ascii_alphanumeric());
        let mut length = c.len_utf8();
        let mut toggle = |on: &mut bool, tag: &str| {
            let _ = write!(out, "<{}{tag}>", if *on { "/" } else { "" });
            *on = !*on;
        };
        match c {
            '`' => toggle(&mut code, "code"),
            '*' if edge && !code => toggle(&mut bold, "b"),
            '~' if edge && !code => toggle(&mut strike, "s"),
            '<' => {
                length = rest.find('>').map_or(1, |end| end + 1);
                let token = Value::from(rest.get(1..length.saturating_sub(1)).unwrap_or_default());
                let token = token.as_str().unwrap_or_default();
                let (target, label) = token.split_once('|').unwrap_or((token, token));
                let _ = match target.chars().next() {
                    Some('h') => write!(out, "<a href=\"{target}\">{label}</a>"),
                    _ if target.starts_with("!date") => write!(out, "<span class=t>{label}</span>"),
                    _ => write!(out, "<span class=at>@{}</span>", label.trim_start_matches(['@', '!'])),
                };
            }
            other => out.push(other),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}
