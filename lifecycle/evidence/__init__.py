"""Evidence: Merkle tree, checkpoint, envelope, bundle and verifier. Works installed alone.

Imports the standard library, ``cryptography`` and ``rfc8785`` only. What the rest of the product calls:

=============== ====================================================================================================
``canonical``   ``encode(value)``, ``decode(data)``, ``parse(data)``: RFC 8785 JSON without floats, strict
``merkle``      ``leaf_hash``, ``new_nodes(size, leaf, node)``, ``tree_root(size, node)``, ``root_of(leaves)``,
                ``inclusion_proof``, ``consistency_proof``, ``verify_inclusion``, ``verify_consistency`` (RFC 6962);
                ``NodeReader`` = ``(level, index) -> hash`` of a complete subtree
``keys``        ``SigningKey`` (``generate``, ``load``, ``save``, ``sign``, ``public``), ``VerifyKey`` (``id``,
                ``public_key``, ``parse``, ``verify``), ``NoteKey(name, key)`` (C2SP ``text``, ``parse``)
``checkpoint``  ``Checkpoint(origin, size, root)``, ``sign_checkpoint``, ``open_checkpoint`` (C2SP signed notes)
``entry``       ``TYPES``, ``encode_entry(fields)``, ``decode_entry(data)``: the closed schema of the log
``schema``      ``format_instant``, ``parse_instant``
``approval``    ``sign_plan``, ``verify_plan``, ``sign_mandate``, ``verify_mandate``
``digest``      ``digest(data)``, ``keyed_digest(key, data)``, ``alias_for(key, tenant_id)``
``seal``        ``seal(key, plaintext, aad)``, ``open_sealed(key, sealed, aad)``
``statement``   ``encode_statement(predicate, plan_hash)``, ``decode_statement``, ``commitment(receipt_digests)``
``envelope``    ``sign_envelope(payload, keys)``, ``open_envelope(envelope, trusted)`` (DSSE)
``bundle``      ``Bundle``, ``collect(…)`` (makes all proofs), ``pack_bundle``, ``unpack_bundle``, ``write_bundle``,
                ``read_bundle``
``trust``       ``Trust`` (``parse``, ``encode``): the reader's keys and anchors
``verify``      ``verify(data, trust, now=None) -> Report`` (``verdict``, ``findings``, ``facts``)
``report``      ``as_text(report)``, ``as_json(report)``
``errors``      ``EvidenceError`` and its kinds, each with ``advice()``
=============== ====================================================================================================

``python -m lifecycle.evidence BUNDLE --trust FILE`` is the verifier. Nothing is re-exported here, so that each caller
loads what it uses.
"""
