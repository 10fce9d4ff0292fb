//! The words that posters and people are called by. All lists of names are in alphabetical order.

/// Given names; a tenth of them starts with A, which makes it four in ten people.
#[rustfmt::skip]
pub(super) const GIVEN_NAMES: &[&str] = &[
    "Aaron", "Abigail", "Adam", "Adrian", "Aimee", "Alan", "Alex", "Alice", "Amanda", "Andrea", "Anthony", "Barbara", "Benjamin",
    "Beth", "Brandon", "Brian", "Caitlin", "Cameron", "Carl", "Carol", "Catherine", "Charles", "Chloe", "Christina", "Claire",
    "Colin", "Daisy", "Daniel", "David", "Deborah", "Dennis", "Diana", "Dominic", "Donna", "Edward", "Eleanor", "Elizabeth",
    "Emily", "Emma", "Eric", "Ethan", "Fiona", "Frances", "Frank", "Gareth", "Gavin", "Gemma", "George", "Grace", "Graham", "Hannah",
    "Harriet", "Harry", "Heather", "Helen", "Henry", "Holly", "Ian", "Irene", "Isabel", "Jack", "Jacob", "James", "Jane",
    "Jasmine", "Jennifer", "Joan", "Jonathan", "Joseph", "Julia", "Karen", "Katherine", "Keith", "Kevin", "Laura", "Lauren", "Leah",
    "Liam", "Linda", "Lisa", "Louise", "Lucy", "Marcus", "Margaret", "Maria", "Mark", "Martin", "Mary", "Matthew", "Megan",
    "Michael", "Naomi", "Natalie", "Nathan", "Nicholas", "Nicole", "Olivia", "Oscar", "Patricia", "Paul", "Peter", "Rachel",
    "Rebecca", "Richard", "Robert", "Rosie", "Ruth", "Samuel", "Sarah", "Simon", "Sophie", "Stephen", "Susan", "Teresa", "Thomas",
    "Timothy", "Tina", "Victoria", "Vincent", "Walter", "Wendy", "William", "Zachary", "Zoe",
];

/// Family names.
#[rustfmt::skip]
pub(super) const FAMILY_NAMES: &[&str] = &[
    "Abbott", "Acosta", "Adams", "Ali", "Allen", "Anderson", "Archer", "Armstrong", "Bailey", "Baker", "Barker", "Barnes",
    "Bell", "Bennett", "Booth", "Boyd", "Bradley", "Brooks", "Brown", "Burgess", "Butler", "Campbell", "Carter", "Chapman", "Clark",
    "Coleman", "Collins", "Cook", "Cooper", "Cox", "Cruz", "Davis", "Dawson", "Dean", "Dixon", "Duncan", "Edwards", "Elliott", "Ellis",
    "Evans", "Fisher", "Fletcher", "Ford", "Foster", "Fox", "Garcia", "Gibson", "Gill", "Gordon", "Graham", "Grant", "Gray",
    "Green", "Griffin", "Hall", "Hamilton", "Harris", "Hart", "Harvey", "Hayes", "Henderson", "Hill", "Holmes", "Howard", "Hughes",
    "Hunt", "Jackson", "Jenkins", "Johnson", "Jones", "Jordan", "Kaur", "Kelly", "Kennedy", "King", "Knight", "Lane", "Lee", "Lewis",
    "Lloyd", "Long", "Marsh", "Martinez", "Mason", "Miller", "Mills", "Mitchell", "Moore", "Morgan", "Morris", "Murphy",
    "Nelson", "Newman", "Nguyen", "Owen", "Palmer", "Parker", "Patel", "Pearson", "Perez", "Phillips", "Porter", "Powell", "Price",
    "Reed", "Richards", "Roberts", "Robinson", "Rogers", "Ross", "Russell", "Sanders", "Scott", "Shaw", "Silva", "Smith",
    "Spencer", "Stewart", "Stone", "Taylor", "Thompson", "Turner", "Walker", "Wallace", "Walsh", "Ward", "Watson", "Webb",
    "West", "White", "Williams", "Wilson", "Wood", "Wright", "Young",
];

/// The first half of a poster's name. No longer than the given names: each of these is one.
#[rustfmt::skip]
pub(super) const QUALITIES: &[&str] = &[
    "Amber", "Bold", "Bright", "Calm", "Candid", "Cedar", "Clever", "Coastal", "Copper", "Cosy", "Crafty", "Curious", "Dapper",
    "Daring", "Early", "Easy", "Emerald", "Everyday", "Faraway", "Fern", "Frugal", "Gentle", "Golden", "Happy", "Hidden", "Honest",
    "Humble", "Indigo", "Ivory", "Jolly", "Keen", "Kind", "Lavender", "Lively", "Lucky", "Mellow", "Merry", "Midnight", "Mindful",
    "Modern", "Nimble", "Northern", "Olive", "Patient", "Pepper", "Plain", "Playful", "Proper", "Quiet", "Rustic", "Sage",
    "Scarlet", "Simple", "Slow", "Southern", "Spruce", "Sunny", "Thrifty", "Tidy", "Velvet", "Vivid", "Wandering", "Whimsical", "Wild",
];

/// The second half of a poster's name. No longer than the family names.
#[rustfmt::skip]
pub(super) const THINGS: &[&str] = &[
    "Acre", "Anchor", "Apron", "Attic", "Basket", "Beacon", "Bench", "Bicycle", "Bloom", "Button", "Cabin", "Candle", "Canvas",
    "Chapter", "Cottage", "Desk", "Dwelling", "Easel", "Feather", "Fireside", "Footpath", "Garage", "Garden", "Gazette", "Harbour",
    "Hearth", "Inkwell", "Journal", "Kettle", "Kitchen", "Ladder", "Lantern", "Ledger", "Loft", "Market", "Meadow", "Mirror", "Needle",
    "Notebook", "Oak", "Orchard", "Palette", "Pantry", "Parlour", "Pencil", "Pocket", "Porch", "Quill", "Ribbon", "Sketch", "Spool",
    "Studio", "Suitcase", "Table", "Teacup", "Thread", "Ticket", "Trail", "Wardrobe", "Willow", "Window", "Workshop",
];

/// Where posters say that they are.
pub(super) const PLACES: &[&str] =
    &["Lifestyle", "Home & Garden", "Design Co.", "Travel + Food", "Kids", "Paper Goods", "DIY", "Slow Living"];

/// What comes before a handle.
pub(super) const HANDLES: &[&str] = &["@", "its.", "hey_", "the-"];
