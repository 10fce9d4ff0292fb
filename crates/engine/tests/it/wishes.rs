//! Random stack files: resources with random inputs and random edges, and random edits of them.

use pinfra_engine::testing::{Inputs, arn_of, node, version_of};
use pinfra_engine::{Address, Graph};
use proptest::prelude::*;

/// How many addresses there are to choose from.
const ADDRESSES: usize = 7;

/// What one stack file asks of one address. Edges go to addresses of a lower rank only, so there are no cycles; but
/// another file may rank them otherwise, and turn an edge round.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    rank: u8,
    size: u64,
    renamed: bool,
    uses: u8,
    within: Option<usize>,
    follows: Option<usize>,
    after: u8,
}

/// A stack file: a wish for each address that it has.
pub(crate) type File = Vec<Option<Wish>>;

fn wish() -> impl Strategy<Value = Option<Wish>> {
    let within = prop::option::weighted(0.4, 0..ADDRESSES);
    let follows = prop::option::weighted(0.4, 0..ADDRESSES);
    let fields = (0..4u8, 0..2u64, prop::bool::weighted(0.2), any::<u8>(), any::<u8>(), within, follows, any::<u8>());
    prop::option::weighted(
        0.8,
        fields.prop_map(|(rank, size, renamed, uses, fewer, within, follows, after)| Wish {
            rank,
            size,
            renamed,
            uses: uses & fewer,
            within,
            follows,
            after: after & fewer & !uses,
        }),
    )
}

pub(crate) fn file() -> impl Strategy<Value = File> {
    prop::collection::vec(wish(), ADDRESSES)
}

/// A file and edits of it, each of which leaves about half of the resources as they were.
pub(crate) fn files(count: usize) -> impl Strategy<Value = Vec<File>> {
    let edits = prop::collection::vec(prop::collection::vec(prop::option::of(wish()), ADDRESSES), count - 1);
    (file(), edits).prop_map(|(first, edits)| {
        let mut files = vec![first];
        for edit in edits {
            let before = files[files.len() - 1].clone();
            files.push(before.into_iter().zip(edit).map(|(old, new)| new.unwrap_or(old)).collect());
        }
        files
    })
}

/// Even addresses are things, odd ones items.
fn address_of(index: usize) -> String {
    format!("fake/{}.r{index}", if index.is_multiple_of(2) { "thing" } else { "item" })
}

pub(crate) fn graph_of(file: &File) -> Graph {
    let lower = |index: usize, other: usize| match (&file[index], &file[other]) {
        (Some(one), Some(two)) => (two.rank, other) < (one.rank, index),
        _ => false,
    };
    let chosen = |index: usize, mask: u8| (0..ADDRESSES).filter(move |o| mask & (1 << o) != 0 && lower(index, *o));
    let mut nodes = Vec::new();
    for (index, wish) in file.iter().enumerate() {
        let Some(wish) = wish else { continue };
        let inputs = Inputs {
            name: format!("r{index}{}", if wish.renamed { "x" } else { "" }),
            size: wish.size,
            uses: chosen(index, wish.uses).map(|other| arn_of(&address_of(other))).collect(),
            within: wish.within.filter(|other| lower(index, *other)).map(|other| arn_of(&address_of(other))),
            follows: wish.follows.filter(|other| lower(index, *other)).map(|other| version_of(&address_of(other))),
            ..Inputs::default()
        };
        let after: Vec<Address> = chosen(index, wish.after).map(|o| address_of(o).parse().unwrap()).collect();
        nodes.push(pinfra_engine::Node { after, ..node(&address_of(index), inputs) });
    }
    Graph::new(nodes).unwrap()
}
