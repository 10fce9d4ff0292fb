-- reads: index, unique_id, title, description, poster_name, follower_count, tag_list, is_image_or_video, image_src, save_location, category
--
-- How a post is cleaned: one row for each event, its key (`ind`) first. The texts that stand for "nothing here" become
-- null, each in its own column. `parse_int` and its siblings are explained in docs/cleaning.md.
SELECT
    parse_int("index") AS ind,
    unique_id,
    nullif(title, 'No Title Data Available') AS title,
    CASE
        WHEN description IN ('No description available Story format', 'No description available') THEN NULL
        ELSE description
    END AS description,
    parse_count(follower_count) AS follower_count,
    nullif(poster_name, 'User Info Error') AS poster_name,
    nullif(tag_list, 'N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e') AS tag_list,
    is_image_or_video,
    nullif(image_src, 'Image src error.') AS image_src,
    CASE
        WHEN starts_with(save_location, 'Local save in ') THEN substr(save_location, 15)
        ELSE save_location
    END AS save_location,
    category
FROM events
