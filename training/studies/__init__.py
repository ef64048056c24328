"""Studies on the procedural scene, in which the truth is known: what each part of a method is worth."""
