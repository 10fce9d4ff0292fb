-- Which user has the most followers in each country?
WITH ranked AS (
    SELECT
        geo.country,
        pin.poster_name,
        pin.follower_count,
        row_number() OVER (PARTITION BY geo.country ORDER BY pin.follower_count DESC, pin.poster_name) AS place
    FROM pin JOIN geo ON pin.ind = geo.ind
    WHERE geo.country IS NOT NULL AND pin.poster_name IS NOT NULL AND pin.follower_count IS NOT NULL
)
SELECT country, poster_name, follower_count
FROM ranked
WHERE place = 1
ORDER BY country
