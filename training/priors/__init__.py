"""What is known of a clip's pixels before anything is learned: depths, optical flow, and what moves."""
