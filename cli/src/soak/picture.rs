//! The memory of each role over time, as an SVG.

use std::path::Path;

use eyre::eyre;
use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, LineSeries, Palette, Palette99, PathElement,
    SVGBackend, SeriesLabelPosition, WHITE,
};

use super::Report;

const SIZE: (u32, u32) = (960, 540);

/// Draws the picture of a report into a file.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn draw(report: &Report, path: &Path) -> eyre::Result<()> {
    let fault = |error: &dyn std::fmt::Display| eyre!("{}: {error}", path.display());
    let series = report.series();
    let points = || series.values().flatten();
    let end = points().map(|sample| sample.0).fold(1.0, f64::max);
    let most = points().map(|sample| sample.1).fold(1.0, f64::max) * 1.1;

    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| fault(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption("resident memory of each role", ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..most)
        .map_err(|error| fault(&error))?;
    chart.configure_mesh().x_desc("seconds").y_desc("MiB").draw().map_err(|error| fault(&error))?;
    for (index, (role, samples)) in series.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(samples.iter().copied(), color.stroke_width(2)))
            .map_err(|error| fault(&error))?
            .label(role)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(|error| fault(&error))?;
    area.present().map_err(|error| fault(&error))
}
