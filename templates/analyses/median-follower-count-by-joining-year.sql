-- What is the median follower count of users by the year they joined, from 2015 to 2020?
WITH posts AS (
    SELECT CAST(date_part('year', u.date_joined) AS INT) AS post_year, pin.follower_count
    FROM pin JOIN "user" AS u ON pin.ind = u.ind
)
SELECT post_year, median(CAST(follower_count AS DOUBLE)) AS median_follower_count
FROM posts
WHERE post_year BETWEEN 2015 AND 2020 AND follower_count IS NOT NULL
GROUP BY post_year
ORDER BY post_year
