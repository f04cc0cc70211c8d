"""The page that a controller reads first, in German and English."""

from __future__ import annotations

from typing import Final

NAME: Final = "README.txt"

_TEXT: Final = """\
DATENEXPORT {export}
Erstellt am {created_at} (UTC) für den Mandanten mit dem Kennzeichen {tenant}.

Dieses Paket enthält personenbezogene Daten, die in Ihrem Auftrag verarbeitet wurden. Bewahren Sie es geschützt auf.
{expires_de}

Inhalt
  MANIFEST.json   Liste aller Dateien mit Zeilenzahl, Spalten und SHA-256-Prüfsumme
  data/*.jsonl    je Datenbestand eine Datei, eine Zeile je Datensatz: maßgeblich, zur maschinellen Übernahme
  data/*.csv      dieselben Daten für Tabellenprogramme (UTF-8, Komma, alle Zellen in Anführungszeichen, RFC 4180)
  data/*.files/   Dateien, unter Nummern; Name und Nummer jeder Datei stehen in den Zeilen ihres Datenbestands

JSONL: Dezimalzahlen, Zeitpunkte (ISO 8601) und Binärdaten (Base64) stehen als Text; welche Form eine Spalte hat, sagt
das Manifest ("forms"). Ganze Zahlen können größer sein, als manche Programme genau lesen.
CSV: Text, der wie eine Formel beginnt (= + - @, Tabulator, Zeilenwechsel), trägt ein vorangestelltes Hochkomma ('),
damit kein Tabellenprogramm ihn ausführt. Eine leere Zelle steht für "kein Wert" und für leeren Text; die JSONL-Datei
unterscheidet beides. Im Zweifel gilt JSONL.

Prüfen: `sha256sum data/*` gibt die Prüfsummen aus, die im Manifest stehen.

----------------------------------------------------------------------------------------------------------------------

DATA EXPORT {export}
Made on {created_at} (UTC) for the tenant with the mark {tenant}.

This package holds personal data that was processed on your behalf. Keep it safe.
{expires_en}

Contents
  MANIFEST.json   all files with row counts, columns and SHA-256 checksums
  data/*.jsonl    one file for each dataset, one line for each record: authoritative, for machines
  data/*.csv      the same data for spreadsheets (UTF-8, comma, every cell quoted, RFC 4180)
  data/*.files/   files, under numbers; the lines of their dataset have each file's name and number

JSONL: decimals, instants (ISO 8601) and bytes (base64) are text; the manifest says which form a column has ("forms").
Integers may be larger than some programs read exactly.
CSV: text that begins like a formula (= + - @, tab, line break) carries a leading apostrophe ('), so that no spreadsheet
executes it. An empty cell stands for no value and for empty text; the JSONL file tells them apart. In doubt, JSONL
counts.

To check: `sha256sum data/*` prints the checksums that the manifest has.
"""


def readme(*, export: str, tenant: str, created_at: str, expires_on: str | None) -> bytes:
    """Return README.txt for a package; everything in it is generated: ids, an alias, dates."""
    if expires_on is None:
        german = "Unsere Kopie dieses Pakets wird nach der Übergabe gelöscht."
        english = "Our copy of this package is deleted after the handover."
    else:
        german = f"Unsere Kopie dieses Pakets wird am {expires_on} gelöscht."
        english = f"Our copy of this package is deleted on {expires_on}."
    text = _TEXT.format(
        export=export,
        tenant=tenant,
        created_at=created_at,
        expires_de=german,
        expires_en=english,
    )
    return text.encode()
