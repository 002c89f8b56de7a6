//! The README's recipe "Add a playbook", done word for word, so that it cannot rot.
use crate::{
    contract,
    harness::{Home, root, run_in},
};

/// Where the recipe is.
const RECIPE: &str = "README.md";
/// Its heading.
const HEADING: &str = "## Add a playbook";

/// The first fenced block of a language in a text.
#[track_caller]
fn block<'t>(text: &'t str, language: &str) -> &'t str {
    let fence = format!("\n```{language}\n");
    let after = text.split_once(&fence).unwrap_or_else(|| panic!("{RECIPE} has no {language} block")).1;
    after.split_once("\n```").expect("a block ends").0
}

#[test]
fn a_playbook_is_added_as_the_readme_says() {
    let readme = std::fs::read_to_string(root().join(RECIPE)).expect("a recipe");
    let section = readme.split_once(HEADING).unwrap_or_else(|| panic!("{RECIPE} has no {HEADING:?}")).1;
    let (playbook, event) = (block(section, "toml"), block(section, "json"));

    // The first line says where the file goes.
    let file =
        playbook.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a comment with the file's name");
    let (folder, name) = file.split_once('/').expect("a folder and a file");
    let home = Home::with(&format!("playbooks = [{folder:?}]\n")).file(file, playbook).file("event.json", event);
    home.run(&["check"]).ended(0);

    // The title has a value of the event in it; what stands around it is enough to know it again.
    let title = playbook.lines().find_map(|line| line.strip_prefix("title")).expect("a title");
    let title = title.trim_start_matches([' ', '=']).trim_matches('"');
    let (_, words) = title.rsplit_once("}}").unwrap_or(("", title));
    assert!(words.trim().len() > 5, "a title with words after its last value: {title}");

    let line = &run_in(home.path(), &["replay", "--format", "json", "event.json"], b"").ended(0).json()[0];
    contract::check(line);
    assert_eq!(line["verdict"]["playbook"], name.trim_end_matches(".toml"));
    let transcript = home.run(&["replay", "event.json"]).ended(0).stdout;
    assert!(transcript.contains(words), "{words:?} is not in {transcript}");
    assert!(!transcript.contains("{{"), "{transcript}");

    // Without the file nobody claims it: the playbook is what did it.
    let without =
        Home::new().file("event.json", event).run(&["replay", "--format", "json", "event.json"]).ended(0).json();
    assert_ne!(without[0]["verdict"]["playbook"], line["verdict"]["playbook"]);
}
