//! The graph as a picture: a column for each step away from what needs nothing, an arrow for each need.

use std::collections::BTreeMap;

use pinfra_engine::{Address, Graph};

const WIDTH: usize = 260;
const HEIGHT: usize = 34;
const GAP_X: usize = 70;
const GAP_Y: usize = 14;
const MARGIN: usize = 20;
const TITLE: usize = 30;

/// An SVG document.
pub fn draw(title: &str, graph: &Graph) -> String {
    let mut column: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut at: BTreeMap<&Address, (usize, usize)> = BTreeMap::new();
    for node in graph.nodes() {
        let x = graph.needs(&node.address).filter_map(|need| column.get(need)).map(|c| c + 1).max().unwrap_or(0);
        let row = rows.entry(x).or_default();
        at.insert(&node.address, (MARGIN + x * (WIDTH + GAP_X), TITLE + MARGIN + *row * (HEIGHT + GAP_Y)));
        *row += 1;
        column.insert(&node.address, x);
    }
    let columns = rows.len().max(1);
    let deepest = rows.values().copied().max().unwrap_or(1);
    let width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X;
    let height = TITLE + 2 * MARGIN + deepest * (HEIGHT + GAP_Y) - GAP_Y;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"{TITLE}\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n"
    );
    for node in graph.nodes() {
        let Some((x, y)) = at.get(&node.address) else { continue };
        for (from_x, from_y) in graph.needs(&node.address).filter_map(|need| at.get(need)) {
            let (x1, y1, x2, y2) = (from_x + WIDTH, from_y + HEIGHT / 2, *x, y + HEIGHT / 2);
            svg.push_str(&format!("<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#888\"/>\n"));
        }
    }
    for (address, (x, y)) in &at {
        let (text_x, text_y) = (x + 12, y + HEIGHT / 2 + 5);
        svg.push_str(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#eef4fb\" stroke=\"#4a7ab5\"/>\n\
             <text x=\"{text_x}\" y=\"{text_y}\">{address}</text>\n"
        ));
    }
    svg + "</svg>\n"
}
