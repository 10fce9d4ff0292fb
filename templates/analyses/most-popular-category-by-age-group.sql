-- What is the most popular category in each age group?
WITH posts AS (
    SELECT
        CASE
            WHEN u.age BETWEEN 18 AND 24 THEN '18-24'
            WHEN u.age BETWEEN 25 AND 35 THEN '25-35'
            WHEN u.age BETWEEN 36 AND 50 THEN '36-50'
            WHEN u.age > 50 THEN '50+'
        END AS age_group,
        pin.category
    FROM pin JOIN "user" AS u ON pin.ind = u.ind
),
counted AS (
    SELECT age_group, category, count(*) AS category_count
    FROM posts
    WHERE age_group IS NOT NULL AND category IS NOT NULL
    GROUP BY age_group, category
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY age_group ORDER BY category_count DESC, category) AS place
    FROM counted
)
SELECT age_group, category, category_count
FROM ranked
WHERE place = 1
ORDER BY age_group
