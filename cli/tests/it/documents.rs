//! The commands that the documents show, run as they stand there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use cli::Args;
use eyre::{OptionExt, bail, ensure};

use crate::binary::{Running, free_base, metalayer};

/// Before a block whose commands are parsed and not run: a comment with the reason.
const NOT_RUN: &str = "<!-- not run: ";
/// The pages whose commands are run in their order; those of all others must be commands that there are.
const RUN: [&str; 3] = ["README.md", "CONTRIBUTING.md", "docs/operations/README.md"];
/// Commands that would run this test.
const THIS: [&str; 3] = ["cargo xtask test", ".ci/run", "cargo xtask help"];
/// Stands for the order that was made last.
const ORDER: &str = "ORDER";

/// One command of a document.
#[derive(Debug)]
struct Shown {
    document: PathBuf,
    command: String,
    is_run: bool,
}

#[test]
fn every_command_of_the_documents_works() -> eyre::Result<()> {
    let mut commands = Vec::new();
    for document in documents(&root())? {
        commands.extend(shown(&document)?);
    }
    assert!(commands.len() >= 10, "{commands:?}");
    let home = tempfile::tempdir()?;
    let port_base = free_base()?.to_string();
    let (mut up, mut order) = (None, None);
    for Shown { document, command, is_run } in &commands {
        let complaint = |what: &str| format!("{}: `{command}`: {what}", document.display());
        let Some(words) = ours(command) else {
            ensure!(
                !is_run || THIS.contains(&command.as_str()),
                complaint("no command of ours; say why it is not run")
            );
            continue;
        };
        let words: Vec<_> = words.split_whitespace().collect();
        let parsed = Args::try_parse_from(["metalayer"].iter().chain(&words));
        if let Err(error) = parsed.map(drop)
            && !words.contains(&ORDER)
        {
            bail!(complaint(&error.to_string()));
        }
        if !is_run {
            continue;
        }
        if words.first() == Some(&"up") {
            let mut command = metalayer(&words, home.path());
            command.args(["--port-base", &port_base, "--json", "--stop-with-stdin"]);
            up = Some(Running::start(&mut command)?);
            continue;
        }
        let words: Vec<_> = words
            .into_iter()
            .map(|word| if word == ORDER { order.as_deref().unwrap_or(word) } else { word })
            .collect();
        let output = metalayer(&words, home.path()).current_dir(home.path()).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), complaint(&told));
        let result = String::from_utf8(output.stdout)?;
        let made = result.lines().find_map(|line| line.strip_prefix("order 0x"));
        order = made.map(|id| format!("0x{}", &id[..64])).or(order);
    }
    up.ok_or_eyre("no document shows how to start")?.stop()
}

/// The arguments, if the command is one of ours.
fn ours(command: &str) -> Option<&str> {
    let own = "cargo run --release --bin metalayer -- ";
    command.strip_prefix(own).or_else(|| command.strip_prefix("metalayer "))
}

/// Every page for readers, the first one first.
fn documents(root: &Path) -> eyre::Result<Vec<PathBuf>> {
    let mut documents = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    documents[2..].sort();
    Ok(documents)
}

/// The folder of the whole project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The commands of a document's `console` blocks, each after its `$ `.
fn shown(document: &Path) -> eyre::Result<Vec<Shown>> {
    let text = fs::read_to_string(document)?;
    let is_page = RUN.iter().any(|page| root().join(page) == document);
    let (mut commands, mut block, mut before) = (Vec::new(), None, "");
    for line in text.lines() {
        match (block, line) {
            (None, "```console" | "```sh") => block = Some(is_page && !before.starts_with(NOT_RUN)),
            (Some(_), "```") => block = None,
            (Some(is_run), line) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    let command = command.split(" # ").next().unwrap_or_default().trim().to_owned();
                    commands.push(Shown { document: document.to_owned(), command, is_run });
                }
            }
            (None, line) => before = if line.is_empty() { before } else { line },
        }
    }
    Ok(commands)
}
