-- What was the most popular category in each year from 2018 to 2022?
WITH counted AS (
    SELECT CAST(date_part('year', geo."timestamp") AS INT) AS post_year, pin.category, count(*) AS category_count
    FROM pin JOIN geo ON pin.ind = geo.ind
    WHERE pin.category IS NOT NULL
    GROUP BY post_year, pin.category
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY post_year ORDER BY category_count DESC, category) AS place
    FROM counted
    WHERE post_year BETWEEN 2018 AND 2022
)
SELECT post_year, category, category_count
FROM ranked
WHERE place = 1
ORDER BY post_year
