//! The pin of a row: its content, and what is wrong with it.

use serde_json::{Map, Value, json};

use super::draws::Draws;
use super::posters::{Poster, USER_INFO_ERROR};
use super::text::{self, CATEGORIES, Category, ORIGINAL_ROWS};

/// What is wrong with a pin. Dirt does not come by the column but by what failed when the pin was collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing, as far as media go.
    None,
    /// Nothing of the pin could be read.
    All,
    /// A pin in the story format, whose description cannot be read; nor could its image.
    StoryWithoutImage,
    /// A pin in the story format, with its image.
    Story,
    /// A stretch of `event-planning` has no media at all.
    NoMedia,
}

const EVENT_PLANNING: &str = "event-planning";
/// All rows without media are of one category, which is 747 of 11,154 rows: half a per cent of all rows.
const NO_MEDIA: f64 = 0.005 * ORIGINAL_ROWS as f64 / 747.0;

/// The category of row `n`: blocks in alphabetical order, as large as in the original.
pub(super) fn category(rows: u32, n: u32) -> &'static Category {
    let original = (u64::from(n) * u64::from(ORIGINAL_ROWS) / u64::from(rows.max(1))) as u32;
    let after = CATEGORIES.partition_point(|category| category.start <= original);
    &CATEGORIES[after.saturating_sub(1)]
}

/// What is wrong with row `n`.
pub(super) fn fault(rows: u32, seed: u64, n: u32) -> Fault {
    let mut draws = Draws::new(seed, 3, u64::from(n));
    if category(rows, n).name == EVENT_PLANNING && draws.chance(NO_MEDIA) {
        return Fault::NoMedia;
    }
    match draws.unit() {
        r if r < 0.009 => Fault::All,
        r if r < 0.022 => Fault::StoryWithoutImage,
        r if r < 0.067 => Fault::Story,
        _ => Fault::None,
    }
}

/// Row `n` of `pinterest_data`, in the order of its columns.
pub(super) fn pin(rows: u32, seed: u64, n: u32, poster: Poster) -> Map<String, Value> {
    let mut draws = Draws::new(seed, 4, u64::from(n));
    let category = category(rows, n);
    let fault = fault(rows, seed, n);
    let unreadable = fault == Fault::All;
    let story = matches!(fault, Fault::All | Fault::Story | Fault::StoryWithoutImage);
    let video = !story && draws.chance(0.03);
    let mut row = Map::new();
    let mut set = |column: &str, value: Value| row.insert(column.to_owned(), value);
    set("index", json!(n));
    set("unique_id", json!(unique_id(seed, n)));
    set("title", json!(if unreadable { "No Title Data Available".to_owned() } else { title(&mut draws, category) }));
    let description =
        if story { "No description available Story format".to_owned() } else { description(&mut draws, category) };
    set("description", json!(description));
    set("poster_name", json!(if unreadable { USER_INFO_ERROR.to_owned() } else { poster.name }));
    set("follower_count", json!(if unreadable { USER_INFO_ERROR.to_owned() } else { poster.followers }));
    let tags = if unreadable || draws.chance(0.003) {
        // What `",".join("No Tags Available")` gives, in a language where a text is a list of its characters.
        "N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e".to_owned()
    } else {
        text::tag_list(&mut draws, category.tags)
    };
    set("tag_list", json!(tags));
    let media = match fault {
        Fault::NoMedia => Value::Null,
        _ if story => json!("multi-video(story page format)"),
        _ if video => json!("video"),
        _ => json!("image"),
    };
    set("is_image_or_video", media);
    let image = match fault {
        Fault::NoMedia => Value::Null,
        Fault::All | Fault::StoryWithoutImage => json!("Image src error."),
        Fault::Story | Fault::None => json!(image_src(&mut draws, video)),
    };
    set("image_src", image);
    set("downloaded", json!(u8::from(matches!(fault, Fault::None | Fault::Story))));
    set("save_location", json!(format!("Local save in /data/{}", category.name)));
    set("category", json!(category.name));
    row
}

fn title(draws: &mut Draws, category: &Category) -> String {
    if draws.chance(0.001) {
        return String::new();
    }
    text::title(draws, category.tags)
}

fn description(draws: &mut Draws, category: &Category) -> String {
    match draws.unit() {
        // Of all rows, 6.7 % have had the other sentinel already.
        r if r < 0.0161 => "No description available".to_owned(),
        r if r < 0.0168 => "Untitled".to_owned(),
        r if r < 0.0175 => "Art.".to_owned(),
        _ => text::description(draws, category.tags),
    }
}

fn image_src(draws: &mut Draws, video: bool) -> String {
    let hash = format!("{:016x}{:016x}", draws.next(), draws.next());
    let folder = format!("{}/{}/{}", &hash[..2], &hash[2..4], &hash[4..6]);
    if video {
        return format!("https://i.pinimg.com/videos/thumbnails/originals/{folder}/{hash}.0000001.jpg");
    }
    let extension = match draws.unit() {
        r if r < 0.155 => "png",
        r if r < 0.166 => "gif",
        r if r < 0.172 => "webp",
        _ => "jpg",
    };
    format!("https://i.pinimg.com/originals/{folder}/{hash}.{extension}")
}

/// A UUID of version 4 (RFC 9562, section 5.4), in lower case.
fn unique_id(seed: u64, n: u32) -> String {
    let mut draws = Draws::new(seed, 5, u64::from(n));
    let random = (u128::from(draws.next()) << 64) | u128::from(draws.next());
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid().to_string()
}
