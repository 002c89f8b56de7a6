//! The words on a card, in the reader's language: every built-in label comes from `locales/*.toml`.
use serde_json::{Map, Value as Json};
use tera::Value;

use crate::error::TemplateError;
use crate::view::Locale;

const EN: (&str, &str) = ("locales/en.toml", include_str!("../locales/en.toml"));
const JA: (&str, &str) = ("locales/ja.toml", include_str!("../locales/ja.toml"));

/// The labels of both languages, as templates see them under `t`; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    en: Value,
    ja: Value,
}

impl Labels {
    pub(crate) fn shipped() -> Result<Self, TemplateError> {
        Ok(Self { en: Value::from_serializable(&read(EN)?), ja: Value::from_serializable(&read(JA)?) })
    }

    pub(crate) fn of(&self, locale: Locale) -> Value {
        match locale {
            Locale::En => self.en.clone(),
            Locale::Ja => self.ja.clone(),
        }
    }
}

fn read((file, text): (&str, &str)) -> Result<Map<String, Json>, TemplateError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count());
        TemplateError::new(file, line, error.message())
    })
}

#[cfg(test)]
mod tests {
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
