"""A large configuration, as text: what ``fairlead check`` has to read within 2 seconds."""


def large_configuration(pools: int = 2_000, routes: int = 10_000, hosts: int = 1_000) -> str:
    """YAML as generators and people write it: block style, some flow, names, weights and units."""
    lines = [
        "listeners:",
        "  web:",
        '    bind: ":0"',
        "    trusted: [10.0.0.0/8]",
        "    routes:",
    ]
    for index in range(routes):
        lines += [
            f"      - name: route-{index}",
            f"        match: {{host: h{index % hosts}.example.com, path: /service-{index}/*}}",
            f"        pool: pool-{index % pools}",
        ]
    lines.append("pools:")
    for index in range(pools):
        a, b = divmod(index, 250)
        lines += [
            f"  pool-{index}:",
            "    algorithm: least_connections",
            "    backends:",
            f"      - 10.{a}.{b}.1:8080",
            f"      - {{address: 10.{a}.{b}.2:8080, name: big, weight: 3}}",
            "    timeouts: {connect: 500ms}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(large_configuration(), end="")  # noqa: T201  (its output is its purpose)
