"""Writing files: videos, Gaussians, cameras, rays, distortion."""
