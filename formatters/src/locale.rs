//! The words on a card, in the reader's language: every built-in label comes from `locales/*.toml`.
use std::sync::LazyLock;

use tera::Value;

use crate::view::Locale;

const EN: &str = include_str!("../locales/en.toml");
const JA: &str = include_str!("../locales/ja.toml");

/// The labels of both languages, as templates see them under `t`: cheap to clone. (That both can be read is tested.)
static LABELS: LazyLock<[Value; 2]> =
    LazyLock::new(|| [EN, JA].map(|text| Value::from_serializable(&read(text).unwrap_or_default())));

fn read(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, toml::de::Error> {
    toml::from_str(text)
}

pub(crate) fn labels(locale: Locale) -> &'static Value {
    let [en, ja] = &*LABELS;
    match locale {
        Locale::En => en,
        Locale::Ja => ja,
    }
}

fn entry<'v>(labels: &'v Value, key: &str) -> Option<&'v Value> {
    labels.as_map()?.get(&key.to_owned().into())
}

/// A label of the locale files; the key where there is none.
pub fn label(locale: Locale, key: &str) -> &str {
    entry(labels(locale), key).and_then(Value::as_str).unwrap_or(key)
}

/// A word of a table of the locale files. Where the English one is empty, the program says it in more detail.
pub fn word(locale: Locale, table: &str, key: &str) -> Option<&'static str> {
    entry(entry(labels(locale), table)?, key)?.as_str().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    /// `table.key = text` for every label.
    fn flat(prefix: &str, value: &Json, out: &mut Vec<(String, String)>) {
        match value {
            Json::Object(map) => map.iter().for_each(|(key, value)| flat(&format!("{prefix}.{key}"), value, out)),
            other => out.push((prefix.to_owned(), other.as_str().expect("labels are text").to_owned())),
        }
    }

    fn labels(locale: Locale) -> Vec<(String, String)> {
        let mut out = Vec::new();
        let file = if locale == Locale::En { EN } else { JA };
        flat("", &Json::Object(read(file).unwrap()), &mut out);
        out.sort();
        out
    }

    #[test]
    fn both_languages_have_the_same_labels_and_none_is_empty() {
        let keys = |labels: &[(String, String)]| labels.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        let (en, ja) = (labels(Locale::En), labels(Locale::Ja));
        assert_eq!(keys(&en), keys(&ja));
        // What is refused, English says in more detail than a word can.
        for (key, text) in en.iter().filter(|(key, _)| !key.starts_with(".refusal.")).chain(&ja) {
            assert!(!text.trim().is_empty(), "{key} is empty");
        }
    }

    #[test]
    fn both_languages_fill_in_the_same_values() {
        let names = |text: &str| {
            let mut names: Vec<String> = text
                .split('{')
                .skip(1)
                .filter_map(|part| part.split_once('}'))
                .map(|(name, _)| name.to_owned())
                .collect();
            names.sort();
            names
        };
        for ((key, en), (_, ja)) in labels(Locale::En).iter().zip(&labels(Locale::Ja)) {
            assert_eq!(names(en), names(ja), "{key}");
        }
    }

    #[test]
    fn labels_survive_the_escaping() {
        for (key, text) in labels(Locale::En).iter().chain(&labels(Locale::Ja)) {
            assert_eq!(&crate::escape::prose(text), text, "{key} would be changed on the card");
        }
    }
}
