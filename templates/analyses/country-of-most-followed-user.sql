-- In which country is the user with the most followers?
SELECT geo.country, pin.follower_count
FROM pin JOIN geo ON pin.ind = geo.ind
WHERE geo.country IS NOT NULL AND pin.poster_name IS NOT NULL AND pin.follower_count IS NOT NULL
ORDER BY pin.follower_count DESC, geo.country
LIMIT 1
