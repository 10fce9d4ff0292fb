//! The difference between two texts, as `diff -u` and `patch` have it.

use super::Paint;
use super::value::plain;

/// Lines that are shown around what differs.
const AROUND: usize = 3;

/// The difference, empty when there is none. All that differs is in one hunk, so this is for texts that differ in one place, or
/// in a few that are near.
pub fn unified(file: &str, before: &str, after: &str, paint: Paint) -> String {
    if before == after {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let same_start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same_start;
    let same_end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - same_end, new.len() - same_end);
    let first = same_start.saturating_sub(AROUND);
    let last_old = (old_end + AROUND).min(old.len());
    let last_new = (new_end + AROUND).min(new.len());
    let mut text = format!(
        "--- {file}\n+++ {file}\n@@ -{} +{} @@\n",
        range(first, last_old - first),
        range(first, last_new - first)
    );
    old[first..same_start].iter().for_each(|one| line(" ", one, |text| text.to_owned(), &mut text));
    old[same_start..old_end].iter().for_each(|one| line("-", one, |text| paint.bad(text), &mut text));
    new[same_start..new_end].iter().for_each(|one| line("+", one, |text| paint.good(text), &mut text));
    old[old_end..last_old].iter().for_each(|one| line(" ", one, |text| text.to_owned(), &mut text));
    text
}

fn range(first: usize, len: usize) -> String {
    // A range of no lines is after the line that it names.
    if len == 0 { format!("{first},0") } else { format!("{},{len}", first + 1) }
}

fn line(sign: &str, line: &str, painted: impl Fn(&str) -> String, text: &mut String) {
    let shown = plain(line.trim_end_matches(['\n', '\r']));
    text.push_str(&painted(&format!("{sign}{shown}")));
    text.push('\n');
    if !line.ends_with('\n') {
        text.push_str("\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_with_what_is_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        insta::assert_snapshot!(unified("a.yaml", before, &before.replace("5\n", "five\n"), Paint::OFF), @r"
        --- a.yaml
        +++ a.yaml
        @@ -2,7 +2,7 @@
         2
         3
         4
        -5
        +five
         6
         7
         8
        ");
        insta::assert_snapshot!(unified("a.yaml", "a: 1", "a: 1\nb: 2", Paint::OFF), @r"
        --- a.yaml
        +++ a.yaml
        @@ -1,1 +1,2 @@
        -a: 1
        \ No newline at end of file
        +a: 1
        +b: 2
        \ No newline at end of file
        ");
        assert_eq!(unified("a.yaml", before, before, Paint::OFF), "");
    }
}
