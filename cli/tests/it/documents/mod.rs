//! Every command that a page shows is run, or stands in a list with the reason why it is not.

mod deployment;
mod exceptions;
mod local;
mod page;

use std::collections::BTreeSet;

use chain::Manifest;
use clap::{CommandFactory, Parser};
use cli::Args;
use eyre::{OptionExt, bail, ensure};

use self::{
    deployment::Walk,
    local::LocalSystem,
    page::{Form, Shown},
};
use crate::binary::metalayer;

/// The page that has chains of its own.
const DEPLOYMENT: &str = "docs/operations/deploy.md";

#[test]
fn every_command_of_the_pages_works_on_a_local_system() -> eyre::Result<()> {
    let is_meant = |shown: &Shown| shown.page != DEPLOYMENT && shown.form != Form::Configuration;
    let mut commands = what_is_run(is_meant)?;
    // First what people do; then what the text says, which is about what they have made.
    commands.sort_by_key(|shown| shown.form == Form::Inline);
    assert!(commands.len() >= 15, "{commands:?}");
    let (first, others) = commands.split_first().ok_or_eyre("no commands")?;
    let mut system = LocalSystem::start(first)?;
    for shown in others {
        system.run(shown)?;
    }
    system.stop()
}

#[test]
fn the_page_about_deployments_works_from_an_empty_folder() -> eyre::Result<()> {
    let mut steps = what_is_run(|shown| shown.page == DEPLOYMENT)?;
    steps.sort_by_key(|shown| shown.form == Form::Inline);
    let mut walk = Walk::new()?;
    for shown in &steps {
        walk.step(shown)?;
    }
    let manifest = Manifest::load(walk.manifest())?;
    let chains: Vec<_> = manifest.iter().map(|(name, _)| name).collect();
    assert_eq!(chains, ["alpha", "beta", "gamma"]);
    walk.end()
}

#[test]
fn every_measurement_of_the_pages_works_in_small() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    for (command, small) in exceptions::SMALL {
        let arguments = page::arguments(command).ok_or_eyre("no command of ours")?;
        let output = metalayer(&arguments, home.path()).args(small.split(' ')).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command} {small}: {told}");
        ensure!(!output.stdout.is_empty(), "{command}: no result\n{told}");
    }
    Ok(())
}

#[test]
fn what_is_not_run_is_on_a_page_and_there_is_such_a_command() -> eyre::Result<()> {
    let shown: BTreeSet<_> = page::all()?.into_iter().map(|shown| shown.text).collect();
    for command in exceptions::commands() {
        ensure!(shown.contains(command), "no page shows `{command}` any more");
        let Some(arguments) = page::arguments(command) else { continue };
        let words = arguments.iter().map(|word| match *word {
            "<role>" => "relayer",
            // As long as every id.
            "ORDER" => "0x1111111111111111111111111111111111111111111111111111111111111111",
            other => other,
        });
        let parsed = Args::try_parse_from(["metalayer"].into_iter().chain(words));
        if let Err(error) = parsed.map(drop) {
            bail!("`{command}`: {error}");
        }
    }
    Ok(())
}

/// What the pages show and no list excepts; what the text repeats, once.
fn what_is_run(is_meant: impl Fn(&Shown) -> bool) -> eyre::Result<Vec<Shown>> {
    let excepted: BTreeSet<_> = exceptions::commands().collect();
    let mut shown = page::all()?;
    shown.retain(|shown| is_meant(shown) && !excepted.contains(shown.text.as_str()));
    let steps = shown.iter().filter(|shown| shown.form == Form::Console);
    let mut known: BTreeSet<_> = steps.map(|shown| shown.text.clone()).collect();
    shown.retain(|shown| shown.form != Form::Inline || known.insert(shown.text.clone()));
    Ok(shown)
}

/// Whether these words are the name of a command and nothing else.
fn is_name(words: &[&str]) -> bool {
    let root = Args::command();
    words.iter().try_fold(&root, |command, word| command.find_subcommand(word)).is_some()
}
