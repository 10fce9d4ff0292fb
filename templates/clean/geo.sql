-- reads: ind, timestamp, latitude, longitude, country
--
-- Where and when a post was made: one row for each event, its key (`ind`) first. `coordinates` is
-- `[latitude, longitude]`, always two long; either may be null.
SELECT
    parse_int(ind) AS ind,
    country,
    make_array(parse_double(latitude), parse_double(longitude)) AS coordinates,
    parse_timestamp("timestamp") AS "timestamp"
FROM events
