"""How the page looks, by day and by night. Colours of lines differ in hue and in lightness."""

__all__ = ["STYLE"]

_HEAT = "".join(f".h{step}{{opacity:{step / 8:g}}}" for step in range(1, 9))

_LIGHT = ("#1d63d1", "#c2410c", "#0f8a5f", "#9333ea", "#64748b", "#0e7490", "#be185d", "#4d7c0f")
_DARK = ("#6ea8ff", "#ff9a62", "#4fd1a1", "#c792ff", "#cbd5e1", "#58cfe6", "#ff85b6", "#a8d65c")


def _palette(colours: tuple[str, ...]) -> str:
    return "".join(f"--c{place}:{colour};" for place, colour in enumerate(colours))


_USES = "".join(
    f".c{place}{{stroke:var(--c{place})}}.k{place}{{background:var(--c{place})}}" for place in range(8)
)

STYLE = f"""
:root{{color-scheme:light dark;--back:#fff;--text:#1b1f24;--dim:#5b6570;--rule:#e3e7eb;--band:#f59e0b22;
--best:#0f8a5f;--heat:#1d63d1;{_palette(_LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{--back:#14171a;--text:#e6e9ec;--dim:#9aa4ae;--rule:#2a3036;
--band:#f2c14e1f;--best:#4fd1a1;--heat:#6ea8ff;{_palette(_DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}}
main{{max-width:1040px;margin:0 auto;padding:32px 24px 64px}}
h1{{font-size:30px;line-height:1.2;margin:0 0 8px}}
h2{{font-size:20px;margin:40px 0 8px}}
h3{{font-size:14px;font-weight:600;color:var(--dim);margin:20px 0 4px}}
.about{{max-width:70ch;margin:0 0 8px}}
.facts{{color:var(--dim);font-size:14px;max-width:90ch;margin:4px 0 12px}}
.wide{{overflow-x:auto}}
table{{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;width:100%;margin:16px 0}}
th,td{{padding:6px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}}
th:first-child{{text-align:left;font-weight:500;padding-left:0}}
thead th{{color:var(--dim);font-weight:500}}
.best{{color:var(--best);font-weight:700}}
.key{{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:8px;vertical-align:middle}}
h2 .key{{height:12px;border-radius:3px}}
.legend{{list-style:none;padding:0;margin:0 0 4px;display:flex;flex-wrap:wrap;gap:2px 20px;font-size:14px}}
figure{{margin:0}}
svg{{width:100%;height:auto;display:block}}
.line{{fill:none;stroke-width:2;stroke-linejoin:round}}
.faint{{opacity:.5;stroke-width:1.5}}
.grid{{stroke:var(--rule)}}
.band{{fill:var(--band)}}
.heat{{fill:var(--heat)}}{_HEAT}
.tick{{font-size:12px;fill:var(--dim)}}
.middle{{text-anchor:middle}}
.end{{text-anchor:end}}
section{{border-top:1px solid var(--rule);margin-top:32px}}
section h2{{margin-top:24px}}
details{{font-size:14px}}
summary{{cursor:pointer;color:var(--dim)}}
.events{{margin:8px 0;padding-left:20px;font-variant-numeric:tabular-nums}}
footer{{margin-top:48px;border-top:1px solid var(--rule);color:var(--dim);font-size:14px}}
{_USES}
"""
