"""Quality without a ground truth: networks that predict a segmentation's score from the image."""
