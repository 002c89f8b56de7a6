//! The texts of playbooks: title, why and next steps, written in Tera and rendered into plain, still untrusted text.
//!
//! There is no escaping here. What comes out goes into a [`View`](crate::View), and the card escapes it.
use serde_json::Value;
use tera::{Context, Tera};

use crate::error::TemplateError;
use crate::filters;

/// Renders texts. Each is parsed when it is shown: there are thousands, and a router shows few of them.
#[derive(Debug)]
pub struct Texts(Tera);

impl Default for Texts {
    fn default() -> Self {
        Self(engine())
    }
}

impl Texts {
    /// Whether a text can be parsed and knows its filters, at load; `name` is what errors call it, for example
    /// `playbooks/x.toml tell.title`. Lines count from the first line of the text.
    pub fn check(name: &str, text: &str) -> Result<(), TemplateError> {
        if !is_template(text) {
            return Ok(());
        }
        engine().add_raw_template(name, text).map_err(|error| named(name, &error))
    }

    /// The text with its values filled in. A field that is not there is an error that lists those that are.
    pub fn render(&self, name: &str, text: &str, context: &Value) -> Result<String, TemplateError> {
        if !is_template(text) {
            return Ok(text.to_owned());
        }
        let context = Context::from_serialize(context).map_err(|error| named(name, &error))?;
        self.0.render_str(text, &context, false).map_err(|error| named(name, &error))
    }
}

fn engine() -> Tera {
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::<&str>::new());
    tera.register_filter("time", filters::told_time);
    tera.register_filter("capital", filters::capital);
    filters::register_bounds(&mut tera);
    tera
}

/// Most texts hold no value at all.
fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|start| text.contains(start))
}

fn named(name: &str, error: &tera::Error) -> TemplateError {
    TemplateError { file: name.to_owned(), ..TemplateError::from_tera(error, name) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAME: &str = "playbooks/mining.toml tell.title";

    #[test]
    fn renders_without_escaping() {
        let context = json!({"resource": {"name": "<b> \"x\" & `y`"}});
        let text = "{{ resource.name }} is mining";
        let texts = Texts::default();
        assert_eq!(texts.render(NAME, text, &context).unwrap(), "<b> \"x\" & `y` is mining");
        assert_eq!(texts.render(NAME, "Isolate it {now}", &context).unwrap(), "Isolate it {now}");
    }

    #[test]
    fn moments_read_alike() {
        let rows = [
            ("Thu, 15 Oct 2026 07:00:00 GMT", "2026-10-15 07:00 UTC"),
            ("2026-10-15T16:00:00+09:00", "2026-10-15 07:00 UTC"),
            ("soon", "soon"),
            ("", ""),
            ("9999-99-99T00:00:00Z", "9999-99-99T00:00:00Z"),
        ];
        for (told, shown) in rows {
            let context = json!({"detail": {"startTime": told}});
            assert_eq!(Texts::default().render("t", "{{ detail.startTime | time }}", &context).unwrap(), shown);
        }
    }

    #[test]
    fn mistakes_are_explained() {
        let context = json!({"resource": {"name": "x", "id": "y"}});
        let texts = Texts::default();
        let message = |text: &str| match Texts::check(NAME, text) {
            Err(error) => format!("at load:   {error}"),
            Ok(()) => format!("at render: {}", texts.render(NAME, text, &context).unwrap_err()),
        };
        let rows = [
            "{{ resource.nmae }}",
            "{{ resourse.name }}",
            "x\n{{ resource.name | shuot }}",
            "{{ resource.name",
            "{% if %}",
        ];
        insta::assert_snapshot!(rows.map(message).join("\n"));
    }
}
