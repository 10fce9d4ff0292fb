-- What is the most popular category in each country?
WITH counted AS (
    SELECT geo.country, pin.category, count(*) AS category_count
    FROM pin JOIN geo ON pin.ind = geo.ind
    WHERE geo.country IS NOT NULL AND pin.category IS NOT NULL
    GROUP BY geo.country, pin.category
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY country ORDER BY category_count DESC, category) AS place
    FROM counted
)
SELECT country, category, category_count
FROM ranked
WHERE place = 1
ORDER BY country
