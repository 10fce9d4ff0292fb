-- How many users joined in each year from 2015 to 2020?
WITH joined AS (
    SELECT CAST(date_part('year', date_joined) AS INT) AS post_year
    FROM "user"
)
SELECT post_year, count(*) AS number_users_joined
FROM joined
WHERE post_year BETWEEN 2015 AND 2020
GROUP BY post_year
ORDER BY post_year
