-- reads: ind, first_name, last_name, age, date_joined
--
-- Who posted: one row for each event, its key (`ind`) first. `user_name` is null when either name is.
SELECT
    parse_int(ind) AS ind,
    first_name || ' ' || last_name AS user_name,
    parse_int(age) AS age,
    parse_timestamp(date_joined) AS date_joined
FROM events
