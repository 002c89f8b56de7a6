//! What the author of a broken template is told, and what a good one may do.
use findings_formatters::{Formatter, Kind, Locale, TemplateError, sample, terminal};

fn load(name: &str, text: &str) -> Result<Formatter, Vec<TemplateError>> {
    Formatter::new([(name.to_owned(), text.to_owned(), format!("my-templates/{name}"))])
}

fn complaints(name: &str, text: &str) -> String {
    let errors = load(name, text).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const CARD: &str = "slack/card.json";

#[test]
fn mistakes_are_explained() {
    let rows = [
        ("an unknown field", CARD, "{\n  \"text\": \"{{ titel }}\",\n  \"blocks\": [] }"),
        ("an unknown field further in", CARD, "{\n  \"text\": \"x\",\n  \"blocks\": [], {{ resource.nmae }} }"),
        ("an unknown filter", CARD, "{ \"text\": \"{{ title | shout }}\",\n\n \"blocks\": \"{{ why | whisper }}\" }"),
        ("a tag that does not end", CARD, "{ \"text\": \"{% if region %}\" }"),
        ("JSON that is not", CARD, "{\n  \"text\": \"{{ title }}\"\n  \"blocks\": []\n}"),
        ("a value outside a string", CARD, "{\n  \"text\": \"x\",\n  \"blocks\": [{\"type\": {{ title }} }]\n}"),
        ("not a message", CARD, "{ \"text\": \"{{ title }}\", \"attachments\": [], \"blocks\": [] }"),
        ("no text", CARD, "{ \"text\": \"{{ why }}\", \"blocks\": [] }"),
        ("escaping switched off", CARD, "{ \"text\": \"x\",\n  \"blocks\": [\"{{ title | safe }}\"] }"),
        ("a link made by hand", CARD, "{ \"text\": \"x\",\n  \"blocks\": [\"<{{ resource.link }}|x>\"] }"),
        ("a name that nothing uses", "slack/crad.json", "{}"),
        ("a part that is broken", "slack/parts/where.json", "{{ account.nmae }}"),
        ("an empty list of words", CARD, "{ \"text\": \"{{ severity | word(of=\"sevrity\") }}\", \"blocks\": [] }"),
        ("a label without its value", CARD, "{ \"text\": \"{{ t.title | fill(title=title) }}\", \"blocks\": [] }"),
        (
            "a loop without end",
            CARD,
            "{ \"text\": \"{% for n in range(end=1000000) %}x{% endfor %}\", \"blocks\": [] }",
        ),
        ("an optional field taken for granted", CARD, "{ \"text\": \"x\",\n \"blocks\": [\"{{ actor.name }}\"] }"),
    ];
    let told: Vec<String> =
        rows.iter().map(|(why, name, text)| format!("# {why}\n{}\n", complaints(name, text))).collect();
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!("broken", told.join("\n")) });
}

#[test]
fn every_mistake_of_every_template_is_told_at_once() {
    let bad = |name: &str, text: &str| (name.to_owned(), text.to_owned(), name.to_owned());
    let errors = Formatter::new([
        bad("slack/card.json", "{{ title | shout }}"),
        bad("slack/storm.json", "{% if %}"),
        bad("slack/resolved.json", "{{ title | safe }}"),
        bad("slack/nothing.json", ""),
    ])
    .expect_err("all four are wrong");
    let files: Vec<&str> = errors.iter().map(|error| error.file.as_str()).collect();
    for name in ["card", "storm", "resolved", "nothing"] {
        assert!(files.contains(&format!("slack/{name}.json").as_str()), "{name} is missing in {files:?}");
    }
}

#[test]
fn a_template_of_the_users_takes_the_place_of_ours() {
    let text = r#"{# short #}{ "text": "{{ title }}", "blocks": [
        { "type": "header", "text": { "type": "plain_text", "text": "{{ severity | emoji }} {{ title }}" } },
        {% if region %}{ "type": "section", "text": { "type": "mrkdwn", "text": "{{ region | code }} <https://wiki.example/x|runbook>" } },{% endif %}
        {% if why %}{ "type": "section", "text": { "type": "mrkdwn", "text": "{{ why }}" } }{% endif %}
    ] }"#;
    let mut view = sample::full(Kind::Card, Locale::Ja);
    view.title = "R&D <b>".to_owned();
    let message = load(CARD, text).expect("a good template").slack(&view).expect("renders");
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("own-template", format!("{}\n---\n{}", message.text, terminal(&message)));
    });
    assert_eq!(message.blocks[0]["text"]["text"], "🚨 R＆D ‹b›");
}
