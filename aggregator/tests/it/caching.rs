//! What is kept says so, and what must not be kept is asked anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aggregator::{provider::BreakerConfig, quoting::Route};
use api::aggregator::{CachedPart, Preference};

use crate::{
    faulty_providers::{PATIENCE, engine_keeping, route},
    providers::{Behaviour, Standin},
};

#[tokio::test]
async fn an_offer_is_given_again_within_its_lifetime_and_says_how_old_it_is() {
    let fair = Standin::start("fair", Behaviour::Fair).await;
    let asked = fair.asked();
    let keep = Duration::from_secs(3_600);
    let engine = engine_keeping(vec![fair], PATIENCE, BreakerConfig::default(), keep);
    let fresh = engine.quote(&route()).await;
    assert!(fresh.quotes[0].cached.is_empty());

    let mut same = Route::clone(&route());
    same.preference = Preference::Fastest;
    let kept = engine.quote(&Arc::new(same)).await;
    let parts: BTreeMap<_, _> = kept.quotes[0]
        .cached
        .iter()
        .map(|it| (it.part == CachedPart::Offer, it.lifetime_ms))
        .collect();
    assert_eq!(parts, BTreeMap::from([(true, 3_600_000)]));
    assert_eq!(kept.quotes[0].amount_out, fresh.quotes[0].amount_out);
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    let mut other = Route::clone(&route());
    other.slippage_bps = 1;
    engine.quote(&Arc::new(other)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "another question is asked");
}
