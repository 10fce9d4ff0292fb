//! What pins say. All of it is made up.

use super::draws::Draws;

/// A category: its name, where its block starts in the original table of 11,154 rows, and the tags of its pins.
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) start: u32,
    pub(super) tags: &'static [&'static str],
}

/// The original table's length, which `Category::start` refers to.
pub(super) const ORIGINAL_ROWS: u32 = 11_154;

/// All 13, in the order of their blocks.
#[rustfmt::skip]
pub(super) const CATEGORIES: [Category; 13] = [
    Category { name: "art", start: 0, tags: &["Ink Drawings", "Charcoal Study", "Gouache Landscapes", "Sketchbook Pages", "Clay Figures", "Abstract Canvas", "Colour Theory", "Art Journal", "Paper Collage", "Linocut Prints", "Mural Ideas", "Pencil Portraits", "Still Life", "Art Room"] },
    Category { name: "beauty", start: 894, tags: &["Evening Make Up", "Short Hair Ideas", "Skin Care Steps", "Nail Colours", "Braids For Beginners", "Homemade Masks", "Eyeliner Tips", "Curly Hair", "Lip Tint", "Autumn Nails", "Soft Glow", "Hair Accessories", "Brow Shapes"] },
    Category { name: "christmas", start: 1641, tags: &["Tree Decorations", "Advent Calendar", "Gift Wrapping", "Paper Stars", "Mantel Garland", "Ginger Biscuits", "Felt Ornaments", "Wreath Making", "Cosy Evenings", "Table Settings", "Stocking Fillers", "Snow Globe", "Winter Crafts"] },
    Category { name: "diy-and-crafts", start: 2637, tags: &["Yarn Projects", "Paper Flowers", "Upcycled Jars", "Salt Dough", "Beaded Bracelets", "Macrame Knots", "Kids Crafts", "Wood Offcuts", "Felt Animals", "Rainy Day Fun", "Glue Gun Ideas", "Origami Boxes", "Candle Making"] },
    Category { name: "education", start: 3467, tags: &["Spelling Games", "Number Lines", "Classroom Walls", "Reading Corner", "Science Fair", "Times Tables", "Story Starters", "Map Skills", "Quiet Time", "First Grade", "Lesson Plans", "Phonics Cards", "Study Notes"] },
    Category { name: "event-planning", start: 4330, tags: &["Guest Lists", "Garden Party", "Balloon Arches", "Cake Tables", "Seating Charts", "Photo Corner", "Party Favours", "Budget Wedding", "Baby Shower", "Street Fair", "Invitation Wording", "Picnic Style", "Dessert Bar"] },
    Category { name: "finance", start: 5077, tags: &["Saving Jar", "Monthly Budget", "Meal Costs", "Side Jobs", "Debt Tracker", "No Spend Week", "Money Habits", "Cash Envelopes", "Pension Basics", "Frugal Living", "Rent Or Buy", "Emergency Fund", "Tax Folder"] },
    Category { name: "home-decor", start: 5865, tags: &["Small Hallways", "Open Shelves", "Linen Curtains", "Painted Doors", "Attic Bedroom", "Plant Corner", "Brick Walls", "Reading Nook", "Warm Neutrals", "Kitchen Tiles", "Window Seat", "Cane Chairs", "Picture Ledge"] },
    Category { name: "mens-fashion", start: 6733, tags: &["Linen Shirts", "Work Boots", "Wool Overcoats", "Weekend Looks", "Denim Layers", "Smart Casual", "Corduroy Jackets", "Knitted Ties", "Rain Gear", "Desert Boots", "Pocket Squares", "Grey Suits", "Canvas Bags"] },
    Category { name: "quotes", start: 7576, tags: &["Kind Words", "Morning Thoughts", "Short Sayings", "On Friendship", "Note To Self", "Courage Lines", "Patience", "Handwritten", "Wise Sentences", "Good Night", "New Start", "Gratitude List", "Small Steps"] },
    Category { name: "tattoos", start: 8486, tags: &["Fine Line", "Botanical Arm", "Tiny Symbols", "Forearm Ideas", "Matching Pairs", "Ankle Tattoo", "Dotwork", "Black Ink", "Moon Phases", "Compass Rose", "Watercolour Ink", "Sleeve Sketch", "Wave Outline"] },
    Category { name: "travel", start: 9462, tags: &["Night Trains", "Packing Lists", "Island Ferries", "City Breaks", "Mountain Huts", "Road Trip Stops", "Old Towns", "Travel Budget", "Lake Swimming", "Coastal Walks", "Street Food", "Desert Camps", "Window Seats"] },
    Category { name: "vehicles", start: 10_315, tags: &["Vintage Vans", "Rally Cars", "Steel Bicycles", "Garage Projects", "Camper Builds", "Chrome Details", "Old Tractors", "Sidecars", "Engine Bay", "Pickup Trucks", "Restored Coupe", "Moped Days", "Racing Stripes"] },
];

const OPENINGS: &[&str] = &[
    "17 ideas for",
    "How I started with",
    "A slow guide to",
    "Everything I know about",
    "The best of",
    "Easy",
    "My favourite",
    "Before you try",
    "Step by step:",
    "What nobody says about",
    "A weekend of",
    "Inspiration:",
    "Our 2021 list of",
    "DIY",
];
const ENDINGS: &[&str] = &[
    "on a budget",
    "for beginners",
    "that really work",
    "(with pictures)",
    "you can do today",
    "- part 2",
    "| A Little Notebook",
    "✨",
    "🌿 for small homes",
    "in one evening",
    "with kids",
    "😍😍",
    "& more",
    "– tried & tested",
    "\"my way\"",
    "100% honest",
];
const ELSEWHERE: &[&str] = &[
    "Ideen für {}",
    "Idées simples : {} à la maison",
    "Ideas fáciles de {} para el fin de semana",
    "{} – kleine Schritte, große Freude",
    "Простые идеи: {}",
    "{}のアイデア集",
    "{} – inspiração para começar hoje",
    "فكرة جميلة: {}",
    "간단한 {} 아이디어",
    "Prosta {} krok po kroku",
    "{} 的小灵感",
    "Små tips om {} 🌞",
    "Évi kedvencek: {}",
    "Ιδέες για {}",
];
const SENTENCES: &[&str] = &[
    "I tried this last weekend and it took less than an hour.",
    "All you need is a free table and some patience.",
    "Save this for later!",
    "There is a list of everything at the end.",
    "Our neighbours asked twice how it was done.",
    "It isn't perfect, but that's the charm of it.",
    "The second attempt came out better than the first 😊",
    "Works in small rooms too.",
    "You can leave out step three.",
    "Read on for the prices (they may surprise you).",
    "Made with what was in the cupboard.",
    "#slowliving #handmade #ideas",
    "Follow along, one small step a day.",
    "Tell me in the comments how yours turned out.",
    "Nothing here costs more than $10.",
    "Great as a gift, too.",
    "We have been doing it this way since 2014; nobody has complained yet.",
    "Ça marche aussi en hiver.",
    "Mehr dazu im Blog.",
];

/// A title in one language or another.
pub(super) fn title(draws: &mut Draws, tags: &[&str]) -> String {
    let subject = draws.one(tags);
    if draws.chance(0.08) {
        return draws.one(ELSEWHERE).replace("{}", subject);
    }
    let mut title = match draws.below(4) {
        0 => format!("{} {subject}", draws.one(OPENINGS)),
        1 => format!("{subject} {}", draws.one(ENDINGS)),
        2 => format!("{} {subject} {}", draws.one(OPENINGS), draws.one(ENDINGS)),
        _ => {
            format!("{} {} and {} {}", draws.one(OPENINGS), draws.one(tags), subject.to_lowercase(), draws.one(ENDINGS))
        }
    };
    // Blanks around and breaks within, as people leave them.
    match draws.below(200) {
        0..4 => title.push(' '),
        4..6 => title.insert(0, ' '),
        6 => title.push_str("\nNew!"),
        _ => {}
    }
    title
}

/// A description; a third of them is longer than what the source keeps, and ends in `… `.
pub(super) fn description(draws: &mut Draws, tags: &[&str]) -> String {
    let mut text = format!("{}. ", title(draws, tags).trim());
    let wanted = if draws.chance(0.36) { KEPT + 20 } else { 20 + draws.below(100) as usize };
    while text.chars().count() < wanted {
        text.push_str(draws.one(SENTENCES));
        text.push(' ');
    }
    let text = text.trim_end();
    if text.chars().count() <= KEPT {
        return text.to_owned();
    }
    let kept: String = text.chars().take(KEPT).collect();
    format!("{}… ", kept.trim_end())
}

/// How many characters of a description the source kept.
const KEPT: usize = 178;

/// The tags of a pin, without blanks after the commas: nine almost always.
pub(super) fn tag_list(draws: &mut Draws, tags: &[&str]) -> String {
    let count = if draws.chance(0.97) { 9 } else { 1 + draws.below(8) as usize };
    let first = draws.below(tags.len() as u64) as usize;
    let chosen: Vec<&str> = (0..count).map(|i| tags[(first + i * 5) % tags.len()]).collect();
    chosen.join(",")
}
