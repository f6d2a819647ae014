//! Profit and loss, as CSV and as a picture.

use plotters::prelude::*;
use prices::{UNITS_PER_DOLLAR, Usd};

use crate::store::{Entry, Totals};

/// Width and height of the picture.
const SIZE: (u32, u32) = (960, 480);

/// A picture that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be drawn: {0}")]
pub struct Undrawable(String);

/// One line an entry, with the running sum in dollars.
pub fn csv(entries: &[Entry]) -> String {
    let mut out = String::from(
        "time_ms,intent,transaction,chain,wallet,token,kind,direction,amount,usd,running_usd\n",
    );
    let mut running = Usd::ZERO;
    for entry in entries {
        running += entry.usd;
        let direction = if entry.kind.is_income() { "in" } else { "out" };
        out.push_str(&format!(
            "{},{},{},{},{},{},{},{direction},{},{},{running}\n",
            entry.at,
            entry.intent,
            entry.tx,
            entry.asset.chain,
            entry.wallet,
            entry.asset.token,
            entry.kind.name(),
            entry.amount,
            entry.usd,
        ));
    }
    out
}

/// The running sum over time and the sum of each kind, as SVG.
///
/// # Errors
/// [`Undrawable`].
pub fn svg(entries: &[Entry]) -> Result<String, Undrawable> {
    let mut out = String::new();
    draw(entries, &mut out).map_err(|e| Undrawable(e.to_string()))?;
    Ok(out)
}

fn draw(entries: &[Entry], out: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let dollars = |usd: Usd| usd.0 as f64 / UNITS_PER_DOLLAR as f64;
    let mut running = Usd::ZERO;
    let start = entries.first().map_or(0, |e| e.at);
    let points: Vec<(f64, f64)> = entries
        .iter()
        .map(|entry| {
            running += entry.usd;
            (entry.at.saturating_sub(start) as f64 / 60_000.0, dollars(running))
        })
        .collect();
    let end = points.last().map_or(1.0, |p| p.0).max(0.1);
    let low = points.iter().map(|p| p.1).fold(0.0, f64::min);
    let high = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let room = ((high - low) * 0.05).max(0.01);
    let totals = Totals::of(entries);
    let kinds: Vec<String> =
        totals.by_kind.iter().map(|(kind, usd)| format!("{} {usd}", kind.name())).collect();
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("profit and loss: {} USD", totals.profit());
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, (low - room)..(high + room))?;
    chart.configure_mesh().x_desc("minutes").y_desc("USD").draw()?;
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    let style = ("sans-serif", 12).into_text_style(&root);
    root.draw_text(&kinds.join("  "), &style, (80, 34))?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, U256};
    use protocol::ids::{ChainId, IntentHash};

    use super::*;
    use crate::{money::Asset, store::EntryKind};

    fn entry(kind: EntryKind, amount: u64, usd: i64) -> Entry {
        Entry {
            tx: B256::repeat_byte(1),
            position: 0,
            intent: IntentHash(B256::repeat_byte(2)),
            wallet: Address::repeat_byte(3),
            asset: Asset { chain: ChainId(1), token: Address::ZERO },
            kind,
            amount: U256::from(amount),
            usd: Usd::dollars(usd),
            at: 60_000,
        }
    }

    #[test]
    fn the_report_sums_what_was_booked() {
        let entries = [entry(EntryKind::Route, 100, -100), entry(EntryKind::Reward, 103, 103)];
        let csv = csv(&entries);
        assert_eq!(csv.lines().count(), 3);
        assert!(
            csv.lines().nth(2).unwrap().ends_with("reward,in,103,103.000000,3.000000"),
            "{csv}"
        );
        assert_eq!(Totals::of(&entries).profit(), Usd::dollars(3));
        let svg = svg(&entries).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("3.000000 USD"));
        assert!(super::svg(&[]).is_ok());
    }
}
