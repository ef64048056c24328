"""From raw videos and folders of frames to a scene folder that training opens: decoding, synchronising, cameras."""
