//! What `up --export` wrote, taken apart by the programs that would use it.

use std::{collections::BTreeSet, fs, path::Path};

use clap::Parser;
use cli::Args;
use eyre::{OptionExt, ensure};
use service::config::{self, FromToml};
use yaml_rust2::{Yaml, YamlLoader, yaml::Hash};

/// The longest pause that a router allows.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(6 * 3_600);

/// Checks that every command parses, every configuration loads, every file, volume, secret, host and
/// port that one part names is there in another, and that no key is in any file.
pub(crate) fn is_sound(folder: &Path) -> eyre::Result<()> {
    let text = fs::read_to_string(folder.join("compose.yaml"))?;
    let documents = YamlLoader::load_from_str(&text)?;
    let compose = documents.first().ok_or_eyre("no document")?;
    let services = compose["services"].as_hash().ok_or_eyre("no services")?;
    let names: BTreeSet<_> = services.keys().filter_map(Yaml::as_str).collect();
    for name in ["postgres", "validator-1", "validator-3", "relayer", "solver-2", "aggregator"] {
        ensure!(names.contains(name), "no service {name}");
    }
    for (name, service) in services {
        let name = name.as_str().ok_or_eyre("a name")?;
        is_confined(name, service)?;
        volumes_exist(folder, compose, service)?;
        if name != "postgres" {
            command_parses(service)?;
        }
        for (host, _) in service["depends_on"].as_hash().into_iter().flatten() {
            ensure!(names.contains(host.as_str().unwrap_or_default()), "{name} depends on nobody");
        }
        for secret in strings(&service["secrets"]) {
            let file = compose["secrets"][secret]["file"].as_str();
            ensure!(file == Some(&format!("./secrets/{secret}")), "{name}: secret {secret}");
        }
    }
    configurations_load(folder, services, &compose["secrets"])?;
    nothing_secret_is_written(folder)
}

fn is_confined(name: &str, service: &Yaml) -> eyre::Result<()> {
    let user = service["user"].as_str().ok_or_eyre("no user")?;
    ensure!(!user.starts_with('0') && user != "root", "{name} runs as {user}");
    ensure!(service["read_only"].as_bool() == Some(true), "{name} may write anywhere");
    ensure!(strings(&service["cap_drop"]) == ["ALL"], "{name} keeps capabilities");
    ensure!(service["healthcheck"]["test"].as_vec().is_some(), "{name} tells no health");
    let check: Vec<_> = strings(&service["healthcheck"]["test"]);
    if let Some(words) = check.strip_prefix(&["CMD", "metalayer"]) {
        Args::try_parse_from([&["metalayer"], words].concat())?;
    }
    Ok(())
}

fn command_parses(service: &Yaml) -> eyre::Result<()> {
    let words = strings(&service["command"]);
    Args::try_parse_from([&["metalayer"], words.as_slice()].concat())?;
    let config = words.last().ok_or_eyre("no configuration")?;
    let mounted = strings(&service["volumes"]).iter().any(|volume| volume.contains(config));
    ensure!(mounted, "{config} is not mounted");
    Ok(())
}

fn volumes_exist(folder: &Path, compose: &Yaml, service: &Yaml) -> eyre::Result<()> {
    for volume in strings(&service["volumes"]) {
        let (from, _) = volume.split_once(':').ok_or_eyre("a volume without a place")?;
        let exists = match from.strip_prefix("./") {
            Some(file) => folder.join(file).exists(),
            None => !compose["volumes"][from].is_badvalue(),
        };
        ensure!(exists, "{volume}: there is no {from}");
    }
    Ok(())
}

/// Loads every configuration with the role's own reader, its files lying where containers see them.
fn configurations_load(folder: &Path, services: &Hash, secrets: &Yaml) -> eyre::Result<()> {
    let names: BTreeSet<_> = services.keys().filter_map(Yaml::as_str).collect();
    let sandbox = tempfile::tempdir()?;
    let etc = folder.display().to_string();
    let keys = sandbox.path().display().to_string();
    for secret in secrets.as_hash().into_iter().flat_map(|secrets| secrets.keys()) {
        // Good for a key and for what binds quotes.
        let name = secret.as_str().ok_or_eyre("a name")?;
        fs::write(sandbox.path().join(name), "11".repeat(32))?;
    }
    for entry in fs::read_dir(folder.join("config"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).ok_or_eyre("a name")?;
        ensure!(names.contains(name), "{name} has a configuration and no container");
        let text = fs::read_to_string(&path)?;
        let local = text.replace("/etc/metalayer", &etc).replace("/run/secrets", &keys);
        let file = sandbox.path().join(format!("{name}.toml"));
        fs::write(&file, local)?;
        match name.split('-').next() {
            Some("validator") => loads::<settlement::validator::ValidatorConfig>(&file)?,
            Some("relayer") => {
                let config = config::load::<settlement::relayer::RelayerConfig>(&file)?;
                let exposed = strings(&services[&Yaml::from_str(name)]["expose"]);
                ensure!(exposed == [config.listen.port().to_string()], "gateway at {exposed:?}");
            }
            Some("solver") => {
                let config = config::load::<solver::Config>(&file)?;
                ensure!(config.admin_token.is_some(), "{name} cannot be operated");
                let is_ready = names.contains("chains") || config.tiers.pause >= PAUSE;
                ensure!(is_ready, "{name} takes others' chains for ours");
            }
            Some("aggregator") => {
                let config = config::load::<aggregator::Config>(&file)?;
                ensure!(config.database == "postgres://metalayer@postgres/aggregator");
                for solver in config.solvers {
                    let host = solver.url.host_str().unwrap_or_default().to_owned();
                    ensure!(names.contains(host.as_str()), "no container {host}");
                }
            }
            _ => ensure!(name == "chains", "nobody reads {name}"),
        }
    }
    Ok(())
}

fn loads<T: FromToml>(file: &Path) -> eyre::Result<()> {
    config::load::<T>(file)?;
    Ok(())
}

/// The words of the development mnemonic, and anything as long as a key that is no address or hash
/// of the manifest.
fn nothing_secret_is_written(folder: &Path) -> eyre::Result<()> {
    for name in ["compose.yaml", "Containerfile", ".env.example", "databases.sql"] {
        let text = fs::read_to_string(folder.join(name))?;
        ensure!(!text.contains("test test"), "{name} holds the mnemonic");
    }
    for entry in fs::read_dir(folder.join("config"))? {
        let text = fs::read_to_string(entry?.path())?;
        ensure!(!text.contains("mnemonic:") && !text.contains("test test"), "a key in {text}");
    }
    ensure!(!folder.join("secrets").exists(), "secrets were written");
    Ok(())
}

fn strings(list: &Yaml) -> Vec<&str> {
    list.as_vec().into_iter().flatten().filter_map(Yaml::as_str).collect()
}

#[test]
fn the_local_system_is_exported_with_its_chains() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let target = home.path().join("export");
    let port_base = crate::binary::free_base()?.to_string();
    let arguments = ["up", "--port-base", &port_base, "--json", "--export"];
    let mut command = crate::binary::metalayer(&arguments, home.path());
    let exported = crate::binary::result(command.arg(&target))?;
    assert_eq!(exported["secrets"].as_array().map(Vec::len), Some(12), "{exported}");
    assert!(target.join("chains").is_dir(), "the chains hold the contracts");
    is_sound(&target)
}
