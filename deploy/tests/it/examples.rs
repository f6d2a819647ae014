//! The shipped configurations are sound, and what they want can be planned.

use std::{fs, path::PathBuf};

use chain::KeySource;
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
    for path in examples {
        let mut config: Config = service::config::load(&path).unwrap();
        assert_eq!(config.check(), Ok(()), "{}", path.display());
        // Its chains as development chains, and a key that is at hand.
        let chains = config.chains.values();
        let chains = chains.map(|chain| devnet::ChainConfig::new(chain.chain_id.0)).collect();
        let network =
            devnet::spawn(devnet::Config { chains, ..devnet::Config::default() }).await.unwrap();
        for chain in config.chains.values_mut() {
            let handle = network.chain(chain.chain_id.0).unwrap();
            chain.rpc = vec![handle.http_url().parse().unwrap()];
        }
        config.deployer = KeySource::Mnemonic { index: 0, phrase: MNEMONIC.to_owned() };
        let names: Vec<String> = config.chains.keys().cloned().collect();
        let plan = Deployment::open(config).unwrap().plan().await.unwrap();
        let planned: Vec<&str> = plan.chains.iter().map(|chain| chain.name.as_str()).collect();
        assert_eq!(planned, names);
        for chain in &plan.chains {
            assert!(chain.steps.len() > 40, "{plan}");
        }
    }
}
