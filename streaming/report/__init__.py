"""A run told to somebody who was not there: from the files of its folder to one HTML file."""
