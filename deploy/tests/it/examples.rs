//! The shipped configurations are sound, and what they want can be planned.

use std::{fs, path::PathBuf};

use deploy::{Config, Deployment};
use devnet::genesis::MNEMONIC;

fn examples() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn every_example_is_sound_and_can_be_planned() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    let folder = tempfile::tempdir().unwrap();
    for path in examples {
        // With a key that is at hand: the one it names is its operator's.
        let text = fs::read_to_string(&path).unwrap();
        let (before, line) = text.split_once("\ndeployer = ").unwrap();
        let (_, after) = line.split_once('\n').unwrap();
        let copy = folder.path().join(path.file_name().unwrap());
        let text = format!("{before}\ndeployer = \"mnemonic:0:{MNEMONIC}\"\n{after}");
        fs::write(&copy, text).unwrap();
        let mut config: Config = service::config::load(&copy).unwrap();
        assert_eq!(config.check(), Ok(()), "{}", path.display());
        // Its chains as development chains.
        let chains = config.chains.values();
        let chains = chains.map(|chain| devnet::ChainConfig::new(chain.chain_id.0)).collect();
        let network =
            devnet::spawn(devnet::Config { chains, ..devnet::Config::default() }).await.unwrap();
        for chain in config.chains.values_mut() {
            let handle = network.chain(chain.chain_id.0).unwrap();
            chain.rpc = vec![handle.http_url().parse().unwrap()];
        }
        let names: Vec<String> = config.chains.keys().cloned().collect();
        let plan = Deployment::open(config).unwrap().plan().await.unwrap();
        let planned: Vec<&str> = plan.chains.iter().map(|chain| chain.name.as_str()).collect();
        assert_eq!(planned, names);
        for chain in &plan.chains {
            assert!(chain.steps.len() > 40, "{plan}");
        }
    }
}
