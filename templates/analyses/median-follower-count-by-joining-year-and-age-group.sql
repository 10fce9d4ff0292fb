-- What is the median follower count of users by the year they joined, from 2015 to 2020, and their age group?
WITH posts AS (
    SELECT
        CASE
            WHEN u.age BETWEEN 18 AND 24 THEN '18-24'
            WHEN u.age BETWEEN 25 AND 35 THEN '25-35'
            WHEN u.age BETWEEN 36 AND 50 THEN '36-50'
            WHEN u.age > 50 THEN '50+'
        END AS age_group,
        CAST(date_part('year', u.date_joined) AS INT) AS post_year,
        pin.follower_count
    FROM pin JOIN "user" AS u ON pin.ind = u.ind
)
SELECT age_group, post_year, median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM posts
WHERE age_group IS NOT NULL AND post_year BETWEEN 2015 AND 2020 AND follower_count IS NOT NULL
GROUP BY age_group, post_year
ORDER BY age_group, post_year
