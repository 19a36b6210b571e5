//! Charts as SVG in the page. Their numbers stand in tables, too; colours are the page's own, light and dark.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// Colours as plotters writes them; the page's style puts its own in their places (`page/style.css`).
const POST_QUANTUM: RGBColor = RGBColor(0x1b, 0x7f, 0x5a);
const CLASSICAL: RGBColor = RGBColor(0xc2, 0x57, 0x1a);
const UNKNOWN: RGBColor = RGBColor(0x8a, 0x8f, 0x98);
const PLAIN: RGBColor = RGBColor(0x2d, 0x6c, 0xdf);
const BAD: RGBColor = RGBColor(0xb3, 0x26, 0x1e);

/// Pixels of a chart as it is drawn; the page scales it.
const SIZE: (u32, u32) = (480, 260);

/// Bars at most: of more the last are shown.
const MAX_BARS: usize = 48;

/// Bars at least, some of them empty.
const MIN_BARS: usize = 3;

/// Handshakes of one hour or day.
pub(super) struct Bucket {
    pub label: String,
    pub post_quantum: u64,
    pub classical: u64,
    pub unknown: u64,
}

/// The share of post-quantum key exchange over time: a bar for each hour or day.
pub(super) fn share(buckets: &[Bucket]) -> Result<String> {
    let shown = buckets.get(buckets.len().saturating_sub(MAX_BARS)..).unwrap_or_default();
    let labels: Vec<&str> = shown.iter().map(|bucket| &*bucket.label).collect();
    let stacks: Vec<Vec<(u64, RGBColor)>> = shown
        .iter()
        .map(|bucket| {
            vec![(bucket.post_quantum, POST_QUANTUM), (bucket.classical, CLASSICAL), (bucket.unknown, UNKNOWN)]
        })
        .collect();
    let all: u64 = shown.iter().map(|bucket| bucket.post_quantum + bucket.classical + bucket.unknown).sum();
    let quantum: u64 = shown.iter().map(|bucket| bucket.post_quantum).sum();
    let described = format!(
        "{quantum} of {all} key exchanges are post-quantum, in {} bars from {}",
        shown.len(),
        labels.first().unwrap_or(&"-")
    );
    draw("share", "Key exchanges over time", &described, &labels, &stacks)
}

/// Handshakes by version.
pub(super) fn versions(rows: &[(String, u64)]) -> Result<String> {
    let labels: Vec<&str> = rows.iter().map(|(name, _)| &**name).collect();
    let is_old = |name: &str| name.starts_with("SSL") || name == "TLS 1.0" || name == "TLS 1.1";
    let colour = |name: &str| if is_old(name) { BAD } else { PLAIN };
    let stacks: Vec<_> = rows.iter().map(|(name, count)| vec![(*count, colour(name))]).collect();
    let described = rows.iter().map(|(name, count)| format!("{name}: {count}")).collect::<Vec<_>>().join(", ");
    draw("versions", "Handshakes by version", &described, &labels, &stacks)
}

/// Certificates by expiry.
pub(super) fn expiry(days_left: &[i64]) -> Result<String> {
    const ENDS: [(&str, i64); 6] =
        [("expired", -1), ("30 days", 30), ("90 days", 90), ("200 days", 200), ("1 year", 366), ("later", i64::MAX)];
    let mut counts = [0u64; ENDS.len()];
    for days in days_left {
        let at = ENDS.iter().position(|(_, most)| days <= most).unwrap_or(ENDS.len() - 1);
        if let Some(count) = counts.get_mut(at) {
            *count += 1;
        }
    }
    let labels = ENDS.map(|(label, _)| label);
    let colour = |at: usize| match at {
        0 => BAD,
        1 => CLASSICAL,
        _ => PLAIN,
    };
    let stacks: Vec<_> = (0..).zip(counts).map(|(at, count)| vec![(count, colour(at))]).collect();
    let described =
        labels.iter().zip(counts).map(|(label, count)| format!("{label}: {count}")).collect::<Vec<_>>().join(", ");
    draw("expiry", "Certificates by expiry", &described, &labels, &stacks)
}

/// Bars beside each other, each of parts on top of each other.
fn draw(id: &str, title: &str, described: &str, labels: &[&str], stacks: &[Vec<(u64, RGBColor)>]) -> Result<String> {
    let highest =
        stacks.iter().map(|stack| stack.iter().map(|(count, _)| count).sum::<u64>()).max().unwrap_or(0).max(1);
    // One bar alone would be as wide as the chart.
    let (mut labels, mut stacks) = (labels.to_vec(), stacks.to_vec());
    while stacks.len() < MIN_BARS {
        let at = if stacks.len().is_multiple_of(2) { 0 } else { stacks.len() };
        labels.insert(at, "");
        stacks.insert(at, Vec::new());
    }
    let mut drawn = String::new();
    {
        let area = SVGBackend::with_string(&mut drawn, SIZE).into_drawing_area();
        plot(&area, &labels, &stacks, highest).map_err(|error| anyhow!("the chart `{id}` cannot be drawn: {error}"))?;
    }
    Ok(accessible(&drawn, id, title, described))
}

type Error = Box<dyn std::error::Error>;

fn plot(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    labels: &[&str],
    stacks: &[Vec<(u64, RGBColor)>],
    highest: u64,
) -> Result<(), Error> {
    // Segments are one more than the numbers of a range, which ends with its last bar.
    let last = i32::try_from(stacks.len().max(1))? - 1;
    let top = highest + highest.div_ceil(10);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d((0..last).into_segmented(), 0u64..top)?;
    let step = stacks.len().div_ceil(8).max(1);
    let label = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(at) => usize::try_from(*at)
            .ok()
            .filter(|at| at % step == 0)
            .and_then(|at| labels.get(at))
            .map(|label| (*label).to_owned())
            .unwrap_or_default(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(stacks.len().min(MAX_BARS))
        .x_label_formatter(&label)
        .y_labels(5)
        .label_style(("sans-serif", 15))
        .draw()?;
    for (at, stack) in (0i32..).zip(stacks) {
        let mut below = 0u64;
        for (count, colour) in stack.iter().filter(|(count, _)| *count > 0) {
            let corners = [(SegmentValue::Exact(at), below), (SegmentValue::Exact(at + 1), below + count)];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(0, 0, 3, 3);
            chart.draw_series(std::iter::once(bar))?;
            below += count;
        }
    }
    area.present()?;
    Ok(())
}

/// Scales with the page, and says what it shows to those who do not see it.
fn accessible(svg: &str, id: &str, title: &str, described: &str) -> String {
    let (title, described) = (escaped(title), escaped(described));
    let inside = svg.split_once('>').map_or("", |(_, inside)| inside);
    let (width, height) = SIZE;
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
        <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{described}</desc>{inside}"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
