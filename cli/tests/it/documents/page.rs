//! What the pages for readers show: commands, and configuration for them.

use std::{
    fs, mem,
    path::{Path, PathBuf},
};

use eyre::{Report, eyre};

/// How pages call our binary.
const CALLS: [&str; 2] = ["metalayer ", "cargo run --release --bin metalayer -- "];

/// How a page shows something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A step in a `console` block, after its `$ `.
    Console,
    /// A `toml` block.
    Configuration,
    /// A command between backticks, in the text or in a table.
    Inline,
}

/// A command of a page, or a configuration.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The page, from the project's folder.
    pub(super) page: String,
    pub(super) form: Form,
    /// As it stands there; a command on one line, without a remark behind it.
    pub(super) text: String,
}

impl Shown {
    /// The arguments of our binary, if the command calls it, by itself or in `$(…)`.
    pub(super) fn arguments(&self) -> Option<Vec<&str>> {
        arguments(&self.text)
    }

    /// It calls something else.
    pub(super) fn no_command(&self) -> Report {
        self.fault("no command of ours: run it, or say in `exceptions` why it is not run")
    }

    /// What is wrong with it.
    pub(super) fn fault(&self, what: &str) -> Report {
        eyre!("{}: `{}`: {what}", self.page, self.text)
    }
}

/// See [`Shown::arguments`].
pub(super) fn arguments(command: &str) -> Option<Vec<&str>> {
    let inner = command.split_once("$(").and_then(|(_, rest)| rest.split_once(')'));
    let call = inner.map_or(command, |(inner, _)| inner);
    let rest = CALLS.iter().find_map(|own| call.strip_prefix(own))?;
    Some(rest.split_whitespace().collect())
}

/// The folder of the whole project.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Everything that the pages show, the first page's first.
pub(super) fn all() -> eyre::Result<Vec<Shown>> {
    let root = root();
    let mut all = Vec::new();
    for page in pages(&root)? {
        let name = page.strip_prefix(&root)?.display().to_string();
        let shown = shown(&fs::read_to_string(&page)?);
        all.extend(shown.into_iter().map(|(form, text)| Shown { page: name.clone(), form, text }));
    }
    Ok(all)
}

/// README first, then CONTRIBUTING, then `docs` by name.
fn pages(root: &Path) -> eyre::Result<Vec<PathBuf>> {
    let (mut pages, mut folders) = (Vec::new(), vec![root.join("docs")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    let first = ["README.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    Ok(first.into_iter().chain(pages).collect())
}

/// What a page shows, in its order.
fn shown(page: &str) -> Vec<(Form, String)> {
    let (mut all, mut prose) = (Vec::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            prose.push_str(line);
            prose.push('\n');
            continue;
        };
        all.extend(inline(&mem::take(&mut prose)));
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        match language {
            "console" | "sh" => all.extend(block.iter().filter_map(|line| step(line))),
            "toml" => all.push((Form::Configuration, block.join("\n"))),
            _ => {}
        }
    }
    all.extend(inline(&prose));
    all
}

fn step(line: &str) -> Option<(Form, String)> {
    let command = line.strip_prefix("$ ")?.split(" # ").next()?.trim();
    Some((Form::Console, command.to_owned()))
}

/// Calls of our binary between backticks, which may stand on two lines of a paragraph.
fn inline(prose: &str) -> Vec<(Form, String)> {
    let paragraphs = prose.split("\n\n");
    let spans = paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    let commands = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    commands
        .filter(|command| arguments(command).is_some())
        .map(|command| (Form::Inline, command))
        .collect()
}

#[test]
fn a_page_is_taken_apart() {
    let page = "Run `metalayer\nup --json`, not `cargo build`.\n\n```console\n$ metalayer quote 1 # dear\n\
                shown: 1\n$ export A=$(metalayer build)\n```\n\n```toml\na = 1\nb = 2\n```\n| `metalayer up` |\n";
    let found = shown(page);
    let expected = [
        (Form::Inline, "metalayer up --json"),
        (Form::Console, "metalayer quote 1"),
        (Form::Console, "export A=$(metalayer build)"),
        (Form::Configuration, "a = 1\nb = 2"),
        (Form::Inline, "metalayer up"),
    ];
    assert_eq!(found, expected.map(|(form, text)| (form, text.to_owned())));
    assert_eq!(arguments("export A=$(metalayer build)"), Some(vec!["build"]));
    assert_eq!(arguments("cargo xtask test"), None);
}
