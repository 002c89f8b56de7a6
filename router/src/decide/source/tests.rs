//! How sources read events into findings; one golden finding for each that is shipped.
use super::*;
use crate::{
    decide::{
        carrier::{Opened, name_fields, open},
        config::Config,
        policy::{Policy, UserFiles},
    },
    testing::at,
};

/// A source with one part changed.
fn source(part: &str, text: &str) -> Source {
    let parts = [
        ("id", "'/detail/id'"),
        ("revision", "'/detail/at'"),
        ("type", "'/detail/type'"),
        ("title", "'/detail/title'"),
        ("severity", "'medium'"),
        ("account", "['/detail/account', '/account']"),
        ("region", "'/region'"),
    ];
    let mut lines: Vec<String> =
        parts.iter().filter(|(key, _)| *key != part).map(|(key, value)| format!("{key} = {value}\n")).collect();
    if !part.is_empty() {
        lines.push(format!("{part} = {text}\n"));
    }
    let text = format!("reporter = 'test'\n[when]\nsource = ['test']\n[finding]\n{}", lines.concat());
    Source::parse("test", "test.toml", &text).unwrap_or_else(|p| panic!("{p:?}"))
}

fn read(source: &Source, detail: &str, envelope_more: &str) -> Finding {
    let text = format!(
        r#"{{"id":"event","source":"test","detail-type":"Test","account":"111122223333","region":"eu-west-1",
        "time":"2026-01-01T01:00:00Z"{envelope_more},"detail":{{{detail}}}}}"#
    );
    let mut fields = Fields::default();
    name_fields(&mut fields);
    source.name_fields(&mut fields);
    let Opened::Event(envelope) = open(&text, &fields) else { panic!("{text}") };
    source.read(&envelope, &envelope.tree, at(7_200))
}

#[test]
fn severity_bands_are_half_open_without_holes() {
    let bands =
        "{ at = '/detail/s', floor = { informational = 0.0, low = 1.0, medium = 4.0, high = 7.0, critical = 9.0 } }";
    let source = source("severity", bands);
    let rows = [
        ("0", "informational"),
        ("0.99", "informational"),
        ("1", "low"),
        ("3.999", "low"),
        ("4.0", "medium"),
        ("6.9", "medium"),
        ("6.95", "medium"),
        ("7.0", "high"),
        ("8.95", "high"),
        ("9.0", "critical"),
        ("1e1", "critical"),
        ("\"8\"", "high"),
        ("\" 8 \"", "high"),
        ("-1", "informational"),
        ("\"high\"", "high"),
        ("\"NaN\"", "high"),
        ("\"inf\"", "high"),
        ("null", "high"),
        ("true", "high"),
        ("[9]", "high"),
    ];
    for (number, expected) in rows {
        assert_eq!(read(&source, &format!(r#""s":{number}"#), "").severity.as_str(), expected, "{number}");
    }
    assert_eq!(read(&source, "", "").severity.as_str(), "high", "missing");
}

#[test]
fn severity_words_are_translated_or_have_a_default() {
    let rows = [
        ("{ at = '/detail/s', words = { BAD = 'high' }, else = 'low' }", r#""s":"BAD""#, "high"),
        ("{ at = '/detail/s', words = { BAD = 'high' }, else = 'low' }", r#""s":"bad""#, "low"),
        ("{ at = '/detail/s', words = { BAD = 'high' }, else = 'low' }", "", "low"),
        ("{ at = '/detail/s', words = { BAD = 'high' } }", r#""s":"?""#, "high"),
        ("{ at = ['/detail/x', '/detail/s'], words = { 4 = 'high' } }", r#""s":4"#, "high"),
        ("'critical'", "", "critical"),
    ];
    for (rule, detail, expected) in rows {
        assert_eq!(read(&source("severity", rule), detail, "").severity.as_str(), expected, "{rule} {detail}");
    }
}

#[test]
fn a_text_is_the_first_that_resolves_a_join_a_word_or_a_constant() {
    let rows = [
        ("A pointer.", "'/detail/a'", r#""a":"x""#, "x"),
        ("A number is text.", "'/detail/a'", r#""a":8.0"#, "8.0"),
        ("A constant.", "'Hello'", "", "Hello"),
        ("The first.", "['/detail/a', '/detail/b']", r#""a":"x","b":"y""#, "x"),
        ("The first that resolves.", "['/detail/a', '/detail/b']", r#""b":"y""#, "y"),
        ("The first that is not empty.", "['/detail/a', '/detail/b']", r#""a":"","b":"y""#, "y"),
        ("An object is no text.", "['/detail/a', '/detail/b']", r#""a":{},"b":"y""#, "y"),
        ("A constant last.", "['/detail/a', 'otherwise']", "", "otherwise"),
        ("A join.", "{ join = ['/detail/a', '/detail/b'], with = '/' }", r#""a":"x","b":"y""#, "x/y"),
        ("A join with nothing between.", "{ join = ['A ', '/detail/a'] }", r#""a":"x""#, "A x"),
        (
            "A join that misses a part falls through.",
            "[{ join = ['/detail/a', '/detail/b'] }, 'no']",
            r#""a":"x""#,
            "no",
        ),
        ("A word.", "{ at = '/detail/a', words = { x = 'ours' } }", r#""a":"x""#, "ours"),
        ("An unknown word.", "{ at = '/detail/a', words = { x = 'ours' }, else = 'e' }", r#""a":"z""#, "e"),
        ("An element of a list.", "'/detail/a/1'", r#""a":["x","y"]"#, "y"),
        ("An escaped key.", "'/detail/a~1b'", r#""a/b":"x""#, "x"),
    ];
    for (sentence, rule, detail, expected) in rows {
        assert_eq!(read(&source("title", rule), detail, "").title, expected, "{sentence}");
    }
    let long = "é".repeat(5_000);
    assert_eq!(read(&source("title", "'/detail/a'"), &format!(r#""a":"{long}""#), "").title.chars().count(), TEXT_MAX);
}

#[test]
fn what_an_event_leaves_out_falls_back() {
    let plain = source("", "");
    let finding = read(&plain, "", "");
    assert_eq!(finding.id, "event", "the envelope's id");
    assert_eq!(finding.revision.to_string(), "2026-01-01T01:00:00Z", "the envelope's time");
    assert_eq!((finding.kind.as_str(), finding.title.as_str()), ("Test", "Test"), "the detail-type");
    assert_eq!((finding.account.as_str(), finding.region.as_str()), ("111122223333", "eu-west-1"));
    let about = |f: &Finding| (f.resources[0].kind.to_string(), f.resources[0].id.clone());
    assert_eq!(about(&finding), ("Finding".to_owned(), "event".to_owned()), "about itself, where nothing is named");
    let acts = Source { ignore_unclaimed: true, ..source("", "") };
    assert_eq!(
        about(&read(&acts, "", "")),
        ("AwsAccount".to_owned(), "111122223333".to_owned()),
        "an act: the account"
    );
    let parts = source("resources", "{ type = 'Secret', id = '/detail/secret', name = '/detail/n' }");
    let told = read(&parts, r#""secret":"s-1","n":"payroll""#, "").resources.remove(0);
    assert_eq!((told.kind.as_ref(), told.id.as_str(), told.name.as_deref()), ("Secret", "s-1", Some("payroll")));
    assert_eq!(told.account, None, "the finding's own");
    let others = read(&parts, r#""secret":"arn:aws:iam::999988887777:role/r""#, "").resources.remove(0);
    assert_eq!(others.account.as_deref(), Some("999988887777"), "an ARN tells whose it is");
    let problem = source("problem", "'/detail/p'");
    assert_eq!(
        (read(&problem, r#""p":"KeyLeaked""#, "").problem.as_str(), finding.problem.as_str()),
        ("KeyLeaked", "Test")
    );
    let element = read(&source("each", "'/detail/list'"), r#""list":[{}]"#, "");
    assert_eq!(element.id, "Test/111122223333/2026-01-01T01:00:00Z", "the envelope's id is not an element's");
    assert_eq!((finding.first_seen, finding.last_seen, finding.count), (finding.revision, finding.revision, 1));
    assert_eq!((finding.can_resolve, finding.status), (false, Status::Active));
    assert_eq!(read(&plain, "", r#","id":"","time":"soon""#).revision, at(7_200), "the clock, at last");
    let nameless = read(&plain, r#""type":"K""#, r#","id":"""#);
    assert_eq!(nameless.id, "K/111122223333/2026-01-01T01:00:00Z", "an id of what is known");
    assert_eq!(read(&plain, &format!(r#""id":"{}""#, "x".repeat(2_000)), "").id.len(), ID_MAX);
    let late = read(&source("first-seen", "'/detail/first'"), r#""first":"2027-01-01T00:00:00Z""#, "");
    assert_eq!(late.first_seen, late.last_seen, "nothing is first seen after it was last seen");
    for (number, count) in [("42", 42), ("\"42\"", 42), ("-1", 1), ("\"many\"", 1)] {
        assert_eq!(read(&source("count", "'/detail/n'"), &format!(r#""n":{number}"#), "").count, count);
    }
}

#[test]
fn an_account_gets_its_zeros_back() {
    let rows = [
        ("123", "000000000123"),
        ("\"012345678901\"", "012345678901"),
        ("\"abc\"", "111122223333"),
        ("\"<!channel>\"", "111122223333"),
        ("\"\"", "111122223333"),
    ];
    for (written, expected) in rows {
        assert_eq!(read(&source("", ""), &format!(r#""account":{written}"#), "").account, expected, "{written}");
    }
}

#[test]
fn exercises_are_known() {
    let sample = source("sample", "{ when = { detail.sample = [true] } }");
    let rows = [
        ("The real thing.", "", "", None),
        ("Marked.", r#""sample":true"#, "", Some(Exercise::Sample)),
        ("A title alone is only words: the source says what marks a sample.", r#""title":"[SAMPLE] x""#, "", None),
        ("From an archive.", "", r#","replay-name":"r""#, Some(Exercise::Replay)),
        (
            "A sample stays one when it is replayed.",
            r#""sample":true"#,
            r#","replay-name":"r""#,
            Some(Exercise::Sample),
        ),
    ];
    for (sentence, detail, envelope, expected) in rows {
        assert_eq!(read(&sample, detail, envelope).exercise, expected, "{sentence}");
    }
    let mut drill = source("", "");
    drill.drill = true;
    assert_eq!(read(&drill, "", "").exercise, Some(Exercise::Drill));
}

#[test]
fn every_text_is_read_from_where_it_points() {
    type Told = fn(&Finding) -> String;
    let rows: [(&str, Told); 10] = [
        ("id", |f| f.id.clone()),
        ("revision", |f| f.revision.to_string()),
        ("type", |f| f.kind.clone()),
        ("problem", |f| f.problem.clone()),
        ("title", |f| f.title.clone()),
        ("description", |f| f.description.clone()),
        ("first-seen", |f| f.first_seen.to_string()),
        ("last-seen", |f| f.last_seen.to_string()),
        ("link", |f| f.link.clone().unwrap_or_default()),
        ("region", |f| f.region.clone()),
    ];
    for (key, told) in rows {
        let value = match key {
            "revision" | "first-seen" | "last-seen" => "2026-01-01T00:00:42Z",
            _ => "eu-north-1",
        };
        let finding = read(&source(key, "'/detail/nowhere/else'"), &format!(r#""nowhere":{{"else":"{value}"}}"#), "");
        assert_eq!(told(&finding), value, "{key}");
    }
}

#[test]
fn a_reporter_that_is_always_told_has_no_other_name() {
    let of = |reporter: &str| {
        let text = "reporter = REPORTER\n[when]\nsource = ['test']\n[finding]\nid = '/id'\nrevision = '/at'\ntype = '/t'\n\
                    title = '/t'\nseverity = 'low'\naccount = '/account'\nregion = '/region'\n";
        Source::parse("file-name", "file-name.toml", &text.replace("REPORTER", reporter)).unwrap()
    };
    let rows = [
        ("'ours'", [true, false, false]),
        ("{ at = '/detail/p', words = { X = 'ours' } }", [true, true, false]),
        ("{ at = '/detail/p', words = { X = 'ours' }, else = 'e' }", [true, false, false]),
        ("['/detail/p', 'ours']", [true, true, true]),
        ("'/detail/p'", [true, true, true]),
    ];
    for (reporter, expected) in rows {
        let source = of(reporter);
        assert_eq!(["ours", "file-name", "anything"].map(|name| source.reports(name)), expected, "{reporter}");
    }
}

#[test]
fn resolved_is_what_the_pattern_says() {
    let source = source("resolved", "{ when = { detail.state = ['over'] } }");
    for (state, status) in [("over", Status::Resolved), ("there", Status::Active)] {
        let finding = read(&source, &format!(r#""state":"{state}""#), "");
        assert_eq!((finding.status, finding.can_resolve), (status, true));
    }
}

#[test]
fn signals_are_in_order_of_time() {
    let source = source("signals", "{ each = '/detail/signals', name = '/name', at = '/at' }");
    let signals = r#""signals":[
        {"name":"c","at":"2026-01-01T00:00:03Z"},{"name":"a","at":"2026-01-01T00:00:01Z"},{"at":"2026-01-01T00:00:01Z"},
        {"name":"b","at":"2026-01-01T00:00:02Z"},{"name":"b","at":"2026-01-01T00:00:02Z"},{"name":"a","at":"2026-01-01T00:00:04Z"}]"#;
    assert_eq!(read(&source, signals, "").signals, ["a", "b", "c", "a"]);
    assert!(read(&source, "", "").signals.is_empty());
}

#[test]
fn a_link_holds_what_the_event_says_encoded() {
    let source = source("link", "{ join = ['https://console.aws.amazon.com/x?id=', '/detail/id', '#/'] }");
    let finding = read(&source, r#""id":"a/b?c=<d>&é""#, "");
    assert_eq!(finding.link.as_deref(), Some("https://console.aws.amazon.com/x?id=a%2Fb%3Fc%3D%3Cd%3E%26%C3%A9#/"));
    assert_eq!(read(&source, "", "").link, None, "no half link");
}

#[test]
fn each_shipped_source_reads_its_event() {
    let policy = Policy::load(Config::default(), &UserFiles::default()).unwrap();
    let events = crate::decide::corpus::events(&policy);
    for source in &policy.sources {
        let name = source.name.as_str();
        let reads = |text: &&String| {
            let Opened::Event(mut envelope) = open(text, policy.fields()) else { return false };
            policy.examine(&mut envelope, at(0)).1 == Some(name)
        };
        let text =
            events.iter().map(|(_, text)| text).find(reads).unwrap_or_else(|| panic!("no fixture is read by {name}"));
        let Opened::Event(mut envelope) = open(text, Fields::ALL) else { panic!("{name}") };
        if let Some(each) = &source.each {
            let mut elements = elements(&mut envelope.tree, each);
            put_element(&mut envelope.tree, each, elements.remove(0));
        }
        insta::assert_debug_snapshot!(name, source.read(&envelope, &envelope.tree, envelope.time.unwrap_or(at(0))));
    }
}
