#version 330 core
// A ring with a dark rim, so that it is seen on any ground.
uniform vec3 circle; // middle in the panel and radius, pixels
uniform vec3 tint;
out vec4 result;

void main() {
    float off = abs(length(gl_FragCoord.xy - circle.xy) - circle.z);
    float ring = 1.0 - smoothstep(0.6, 1.6, off);
    float rim = 0.7 * (1.0 - smoothstep(1.6, 3.2, off));
    float covered = ring + (1.0 - ring) * rim;
    result = vec4(mix(vec3(0.05), tint, ring / max(covered, 1e-6)), covered);
}
