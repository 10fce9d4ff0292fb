//! Counts of events, hop by hop downwards and table by table to the right, within eighty columns.

use super::{Paint, columns};

/// What fits into a terminal that nobody has widened.
const WIDTH: usize = 80;

/// One table on one path.
pub struct Passage {
    /// Its name.
    pub table: String,
    /// The hops in their order, the same of every table, and how many events have passed each. `None` is not known.
    pub hops: Vec<(&'static str, Option<u64>)>,
    /// What there is to say of it.
    pub verdict: String,
    /// Whether all is well with it.
    pub good: bool,
}

/// The tables of one path under its `title`, as many beside each other as fit, and then what there is to say of them.
pub fn draw(title: &str, passages: &[Passage], paint: Paint) -> String {
    let mut text = String::new();
    let mut rest = passages;
    while !rest.is_empty() {
        let fit = (1..=rest.len()).rev().find(|n| width(&rows(title, &rest[..*n])) <= WIDTH).unwrap_or(1);
        let (some, others) = rest.split_at(fit);
        text.push_str(&columns::aligned(&rows(title, some)));
        rest = others;
    }
    for (tables, passage) in grouped(passages) {
        for line in wrapped(&format!("{tables}: {}", passage.verdict)) {
            // A line is coloured as a whole, since colours have no width.
            text.push_str(&if passage.good { paint.good(&line) } else { paint.bad(&line) });
            text.push('\n');
        }
    }
    text
}

fn rows(title: &str, passages: &[Passage]) -> Vec<Vec<String>> {
    let head = std::iter::once(format!("{title}:")).chain(passages.iter().map(|passage| passage.table.clone()));
    let mut rows = vec![head.collect::<Vec<_>>()];
    let hops = passages.first().map(|passage| passage.hops.as_slice()).unwrap_or_default();
    for (index, (hop, _)) in hops.iter().enumerate() {
        let cell = |passage: &Passage| {
            passage.hops.get(index).and_then(|(_, count)| *count).map_or("-".to_owned(), columns::number)
        };
        rows.push(std::iter::once(format!("  {hop}")).chain(passages.iter().map(cell)).collect());
    }
    rows
}

fn width(rows: &[Vec<String>]) -> usize {
    columns::aligned(rows).lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

/// Tables of which there is the same to say, told once.
fn grouped(passages: &[Passage]) -> Vec<(String, &Passage)> {
    let mut groups: Vec<(Vec<&str>, &Passage)> = Vec::new();
    for passage in passages {
        match groups.iter_mut().find(|(_, one)| one.verdict == passage.verdict && one.good == passage.good) {
            Some((tables, _)) => tables.push(&passage.table),
            None => groups.push((vec![&passage.table], passage)),
        }
    }
    let all = groups.len() == 1 && passages.len() > 1;
    let name = |tables: Vec<&str>| if all { "all".to_owned() } else { tables.join(", ") };
    groups.into_iter().map(|(tables, passage)| (name(tables), passage)).collect()
}

/// Lines of words, indented as hops are, the second and further ones a little more.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec!["   ".to_owned()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > WIDTH);
        if full {
            lines.push("     ".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(table: &str, counts: [Option<u64>; 3], verdict: &str, good: bool) -> Passage {
        let hops = ["emitted", "in Kafka", "duplicates"].into_iter().zip(counts).collect();
        Passage { table: table.to_owned(), hops, verdict: verdict.to_owned(), good }
    }

    #[test]
    fn hops_go_down_and_tables_to_the_right() {
        let passages = [
            passage("geo", [Some(6_667), Some(6_667), Some(12)], "reconciles", true),
            passage("pin", [Some(1_234_567), None, None], "3 read and in no table", false),
            passage("user", [Some(0), Some(0), Some(0)], "reconciles", true),
        ];
        assert_eq!(
            draw("batch", &passages, Paint::OFF),
            "  batch:          geo        pin  user\n\
             \x20   emitted     6,667  1,234,567     0\n\
             \x20   in Kafka    6,667          -     0\n\
             \x20   duplicates     12          -     0\n\
             \x20   geo, user: reconciles\n\
             \x20   pin: 3 read and in no table\n"
        );
        assert!(draw("batch", &passages[..1], Paint::OFF).ends_with("    geo: reconciles\n"));
        let same = [passage("geo", [None; 3], "x", true), passage("pin", [None; 3], "x", true)];
        assert!(draw("batch", &same, Paint::OFF).ends_with("    all: x\n"));
    }

    #[test]
    fn nothing_is_wider_than_a_terminal() {
        let long = "12 being posted, 345 in Kafka and not flushed, 6789 in S3 and not cleaned, 1 read and in no table";
        let passages: Vec<Passage> = (0..23)
            .map(|n| passage(&format!("a_table_called_{n}"), [Some(1_234_567_890); 3], &format!("{n} {long}"), true))
            .collect();
        let text = draw("stream", &passages, Paint::OFF);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!((0..23).all(|n| text.contains(&format!("a_table_called_{n}"))), "{text}");
        // One that does not fit is shown all the same.
        let wide = [passage(&"t".repeat(100), [Some(1); 3], "x", true)];
        assert!(draw("stream", &wide, Paint::OFF).contains(&"t".repeat(100)));
    }
}
